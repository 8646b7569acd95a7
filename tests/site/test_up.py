"""``manage.py up`` with real processes: it starts, says what is wrong, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.stack import ROOT, free_port, wait_until

pytestmark = pytest.mark.slow


class Up:
    """One ``up`` in a process group of its own, with its output in a file."""

    def __init__(self, data_dir: Path, port: int, *arguments: str) -> None:
        dropped = (
            "BROKER_URL",
            "EMAIL_URL",
            "PUBLIC_URL",
            "DATABASE_URL",
            "SECRET_KEY",
            "DJANGO_SETTINGS_MODULE",
            "DATA_DIR",
        )
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log_path = data_dir / f"up-{port}.log"
        self.port = port
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(port), "--data-dir", str(data_dir), *arguments],
                cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        _started.append(self)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}:\n{self.log[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def wait_until_ready(self) -> float:
        started = time.monotonic()
        wait_until(self.is_ready, 100, "the house is ready")
        return time.monotonic() - started

    def family(self) -> list[psutil.Process]:
        """Every process that it started, however deep."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


_started: list[Up] = []


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Also where a test fails in the middle."""
    yield
    while _started:
        up = _started.pop()
        if up.process.poll() is None:
            up.stop()


def alive(processes: list[psutil.Process]) -> list[str]:
    return [p.name() for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_it_starts_twice_on_one_directory_and_stops_without_leaving_a_process(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        up = Up(tmp_path / "data", free_port(), "--beats", "2")
        took = up.wait_until_ready()
        assert took < 100  # 15 s on a quiet machine; the tests share theirs
        family = up.family()
        assert len(family) > 8
        wait_until(lambda up=up: "Almanac is ready" in up.log, 20, "the banner")  # type: ignore[misc]
        for line in ("valkey is up", "mailbox is up", "web is up", "worker is up", "beat is up", "User      admin"):
            assert line in up.log
        assert up.stop(number) == 0
        assert alive(family) == []
        assert "SIGKILL" not in up.log and "Traceback" not in up.log  # each part ended by itself, in peace


def test_two_instances_run_side_by_side(tmp_path: Path) -> None:
    first = Up(tmp_path / "a", free_port())
    second = Up(tmp_path / ("b" * 120), free_port(), "--no-demo")  # too long for a Unix socket: it finds another place
    try:
        first.wait_until_ready()
        second.wait_until_ready()
    finally:
        assert [first.stop(), second.stop()] == [0, 0]


def test_a_taken_port_and_a_taken_directory_are_said_plainly(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", free_port())
    up.wait_until_ready()
    try:
        same_port = Up(tmp_path / "other", up.port)
        assert same_port.process.wait(timeout=30) == 2
        assert f"Port {up.port} is taken" in same_port.log and "Traceback" not in same_port.log
        same_directory = Up(tmp_path / "data", free_port())
        assert same_directory.process.wait(timeout=30) == 2
        assert "already running on" in same_directory.log and "Traceback" not in same_directory.log
    finally:
        up.stop()


def test_a_child_that_dies_is_named_and_everything_stops(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", free_port(), "--no-demo")
    up.wait_until_ready()
    family = up.family()
    next(process for process in family if "beat" in process.cmdline()).kill()
    assert up.process.wait(timeout=60) == 1
    assert "beat has ended by itself (exit code -9)" in up.log
    assert alive(family) == []


def test_kill_9_of_up_takes_its_children_along(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", free_port(), "--no-demo")
    up.wait_until_ready()
    family = up.family()
    up.stop(signal.SIGKILL)
    wait_until(lambda: alive(family) == [], 40, "the children are gone")
