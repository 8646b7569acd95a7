"""Faults of the code reach a Sentry server once and without secrets; what was refused or failed in words does not."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from runs import clock, ledger
from runs.models import Heartbeat, Run
from runs.states import FINAL, State, Trigger
from schedules import plain_tasks
from tests.integration.stack import ROOT, Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SECRETS = ("hunter2-of-the-database", "anna@example.org")
TEXT = f"postgres://almanac:{SECRETS[0]}@db/almanac for {SECRETS[1]}"


class Receiver:
    """A server that keeps each envelope as it came over the wire."""

    def __init__(self) -> None:
        self.envelopes: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.envelopes.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server.server_address[1]}/1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        """One for each envelope: nothing else may be sent, no sessions, no traces."""
        items = [[json.loads(line) for line in envelope.splitlines()] for envelope in self.envelopes]
        assert [(len(lines), lines[1]["type"]) for lines in items] == [(3, "event")] * len(items)
        return [lines[2] for lines in items]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def planned(target_id: int) -> Run:
    now = clock.now()
    return ledger.plan(
        ledger.NewRun(
            kind=plain_tasks.KIND,
            target_id=target_id,
            target_label="By hand",
            trigger=Trigger.MANUAL,
            due_at=now,
            idempotency_key=f"test-{target_id}",
            time_zone="UTC",
            queue="default",
        )
    )


def test_a_crash_arrives_once_and_a_failure_in_words_does_not(stack: Stack, receiver: Receiver) -> None:
    stack.set("SENTRY_DSN", receiver.dsn)
    stack.start_beat()
    stack.start_worker()
    wait_until(lambda: Heartbeat.objects.filter(role="worker").exists(), 60, "the worker is up")
    every, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    # A number of a run is expected, and the exception repeats what came instead of it.
    row = PeriodicTask(name="By hand", task="schedules.run_job", interval=every, args=json.dumps([TEXT]), enabled=False)
    PeriodicTask.objects.bulk_create([row])
    crashing, refused = planned(PeriodicTask.objects.get().pk), planned(999_999)
    wait_until(
        lambda: Run.objects.filter(pk__in=(crashing.pk, refused.pk), state__in=FINAL).count() == 2, 60, "both ended"
    )
    assert set(Run.objects.values_list("state", flat=True)) == {State.FAILED}
    assert "Its row no longer exists." in Run.objects.get(pk=refused.pk).error
    assert SECRETS[0] in Run.objects.get(pk=crashing.pk).error  # staff see what it was
    wait_until(receiver.events, 20, "the event arrived")
    for process in stack.processes:  # each sends what it still has when it is asked to stop
        process.terminate()
    for process in stack.processes:
        process.wait(timeout=60)
    (event,) = receiver.events()
    assert event["tags"] == {"run": str(crashing.pk), "attempt": "1", "kind": plain_tasks.KIND}
    assert event["exception"]["values"][-1]["type"] == "ValueError" and event["logger"] == "runs.tasks"
    assert any(frame["module"] == "runs.ledger" for frame in event["exception"]["values"][-1]["stacktrace"]["frames"])
    assert not [secret for secret in SECRETS if secret in json.dumps(event)]
    assert not [name for name in ("extra", "user", "request", "breadcrumbs") if event.get(name)]


PAGES = """
import django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
client.cookies["sessionid"] = "the-session-of-somebody"
print(client.get("/admin/?q=anna@example.org").status_code)
print(client.get("/admin/?q=anna@example.org").status_code)
print(client.get("/admin/", headers={"host": "evil.example.net"}).status_code)
print(client.post("/admin/schedules/schedule/1/pause/").status_code)
print(client.get("/nowhere").status_code)
"""


def test_a_page_that_fails_arrives_once_without_what_was_asked_for(receiver: Receiver, tmp_path: Path) -> None:
    environment = {
        **os.environ, "SENTRY_DSN": receiver.dsn, "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "tests.settings", "ALLOWED_HOSTS": "testserver",
        "DATABASE_URL": f"postgres://almanac:{SECRETS[0]}@127.0.0.1:1/almanac",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PAGES], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["500", "500", "400", "500", "404"], done.stderr
    (event,) = receiver.events()
    assert event["transaction"] == "/admin/" and event["tags"] == {"method": "GET"}
    assert event["exception"]["values"][-1]["type"] == "OperationalError"
    assert not [one for one in (*SECRETS, "the-session-of-somebody", "evil") if one in json.dumps(event)]


def test_without_an_address_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "scheduler_site.settings"}
    environment.pop("SENTRY_DSN", None)
    look = "import sys, django; django.setup(); print([name for name in sys.modules if name.startswith('sentry_sdk')])"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
