"""Processes that send an issue, forked from one that has everything loaded: starting each anew takes seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from django.conf import settings as django_settings

from tests.integration.conftest import database_url
from tests.integration.stack import ROOT

PARENT = """
import json, os, signal, sys, time, traceback
import django
django.setup()
from django.conf import settings
from newsletters import helping, sending  # children load nothing more
from newsletters.models import Issue
from runs import stopping
from schedules.tasks import run_job

def work(run_id):
    run_job(run_id)

def help_out(run_id, number):
    # What Celery does with the message that the driver sends to it.
    deadline = time.monotonic() + 30
    while (issue := Issue.objects.filter(state=Issue.State.RUNNING).first()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    helping.take_a_turn(issue.pk, number, run_id)

def live(order):
    for name, value in order["settings"].items():
        setattr(settings, name, value)
    stopping.prepare()
    signal.signal(signal.SIGTERM, lambda *_: stopping.announce())
    {"work": work, "help_out": help_out}[order["what"]](*order["arguments"])

def ended(number):
    found, status = os.waitpid(number, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None

for line in sys.stdin:
    order = json.loads(line)
    if "ended" in order:
        print(json.dumps(ended(order["ended"])), flush=True)
        continue
    number = os.fork()
    if number:
        print(number, flush=True)
        continue
    code = 1
    try:
        live(order)
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)
"""


class Parent:
    """Has no connection to the database of its own, so its children share none."""

    def __init__(self) -> None:
        environment = {
            **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
            "SECRET_KEY": django_settings.SECRET_KEY, "PUBLIC_URL": "https://news.example.org",
            "EMAIL_URL": "smtp://127.0.0.1:1",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", PARENT], env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def start(self, what: str, *arguments: int, **settings: Any) -> Child:
        """A child that works on a run (``work``) or helps with one (``help_out``); settings by their names."""
        order = {"what": what, "arguments": arguments, "settings": {"EMAIL_HOST": "127.0.0.1", **settings}}
        return Child(self, int(self._ask(order)))

    def ended(self, number: int) -> int | None:
        code: int | None = self._ask({"ended": number})
        return code

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Child:
    """As :class:`subprocess.Popen`, as far as tests need it."""

    def __init__(self, parent: Parent, number: int) -> None:
        self._parent = parent
        self.pid = number
        self._code: int | None = None

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        if self._code is None:
            self._code = self._parent.ended(self.pid)
        return self._code

    def wait(self, timeout: float = 60) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} does not end"
            time.sleep(0.02)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
