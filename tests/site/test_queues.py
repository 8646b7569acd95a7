"""Workers and queues: each state in a word, a broker that is away holds nothing up, pausing by POST alone."""

from __future__ import annotations

import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from kombu import Connection

from runs import clock, ledger, queue_pauses
from runs.models import AuditEntry, Heartbeat, QueueCanary, QueuePause, Run
from runs.states import Trigger
from scheduler_site import broker_depths, queues

pytestmark = pytest.mark.django_db
URL = "/admin/queues/"


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def plan(queue: str = "newsletters", **changes: Any) -> Run:
    values: dict[str, Any] = {"kind": "test", "target_id": None, "target_label": "Target", "trigger": Trigger.MANUAL}
    return ledger.plan(ledger.NewRun(**(values | {"queue": queue} | changes)))


def worker(name: str, *queues: str, seconds_ago: float = 0, role: str = "worker", **details: Any) -> Heartbeat:
    seen = clock.now() - timedelta(seconds=seconds_ago)
    details = {"queues": list(queues), "processes": 2, **details}
    return Heartbeat.objects.create(name=name, role=role, started_at=seen, seen_at=seen, details=details)


def line(name: str) -> queues.QueueLine:
    found: queues.QueueLine = next(one for one in queues.facts()["queues"] if one.name == name)
    return found


def test_every_queue_that_anything_names_is_there() -> None:
    plan("forgotten")
    QueueCanary.objects.create(queue="canary-only")
    queue_pauses.pause_queue(None, "paused-only", reason="x")
    names = queues.known_queues()
    assert {"default", "newsletters", "reports", "cleanup", "forgotten", "canary-only", "paused-only"} <= set(names)
    assert names == sorted(names) == [one.name for one in queues.facts()["queues"]]


def test_a_queue_says_what_waits_runs_and_was_done() -> None:
    now = clock.now()
    old, _ = plan(due_at=now - timedelta(minutes=10)), plan()
    plan(due_at=now + timedelta(hours=1))  # not yet due
    spread = plan()
    Run.objects.filter(pk=spread.pk).update(not_before_at=now + timedelta(minutes=5))
    running = ledger.claim(plan().pk, "worker@m1:8")
    assert running is not None
    for minutes in range(60):
        Run.objects.create(
            kind="test",
            queue="newsletters",
            trigger="manual",
            state="succeeded",
            due_at=now - timedelta(minutes=minutes),
        )
    told = line("newsletters")
    assert (told.waiting, told.oldest, told.running, told.rate) == ("2", "10 minutes", 1, "1.0 a minute")
    assert told.word == "Behind" and line("reports").word == "Well"
    ledger.request_cancel(old)
    assert line("newsletters").word == "Well"


def test_a_silent_canary_is_told_from_a_paused_queue_and_a_well_one() -> None:
    now = clock.now()
    QueueCanary.objects.create(queue="reports", sent_at=now - timedelta(minutes=3))
    QueueCanary.objects.create(
        queue="cleanup", sent_at=now - timedelta(seconds=9), answered_at=now - timedelta(seconds=8)
    )
    queue_pauses.pause_queue(None, "default", reason="the provider asked us to")
    assert line("reports").word == "Nobody answers" and "no answer yet" in line("reports").answer
    assert line("cleanup").word == "Well" and "answered 8 seconds ago" in line("cleanup").answer
    assert line("default").word == "Paused" and "the provider asked us to" in line("default").note


def test_workers_and_clocks_are_told_in_words(boss: Client) -> None:
    worker("worker@m1:5", "newsletters", hostname="worker1@m1", version="Python 3.11, Celery 5.7", skew_seconds=0.001)
    worker("worker@m2:5", "reports", seconds_ago=300)
    worker("beat@m1:6", role="beat", skew_seconds=3.2)
    worker("beat@m1:4", role="beat", seconds_ago=600)
    worker("worker@m0:1", "default", seconds_ago=100_000)
    ledger.claim(plan(target_label="Monday letter").pk, "worker@m1:8")
    ledger.claim(plan(target_label="Lost letter").pk, "worker@m9:8")
    facts = queues.facts()
    assert [(one.name, one.word, one.skew) for one in facts["workers"]] == [
        ("worker@m1:5", "Up", "right"), ("worker@m2:5", "Gone", "not told"),
    ]  # fmt: skip
    assert [run.target_label for run in facts["workers"][0].runs] == ["Monday letter"]
    assert [run.target_label for run in facts["running_elsewhere"]] == ["Lost letter"]
    assert [(one.word, one.skew) for one in facts["beats"]] == [("Clock is off", "3.2 s ahead"), ("Gone", "not told")]
    page = boss.get(URL).content.decode()
    for words in ("worker1@m1", "Celery 5.7", "Monday letter", "Clock is off", "Lost letter"):
        assert words in page, words


def test_with_nobody_there_the_page_says_what_that_means(boss: Client) -> None:
    page = boss.get(URL).content.decode()
    assert "No worker has been seen" in page and "Nothing is started until one is back" in page
    worker("beat@m1:4", role="beat", seconds_ago=600)
    assert queues.facts()["beats"][0].word == "Silent"


def test_a_broker_that_is_away_or_says_nothing_does_not_hold_up_the_page(boss: Client, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # accepts, and never answers
        for port in (mute.getsockname()[1], 1):
            settings.BROKER_URL = f"redis://127.0.0.1:{port}/0"
            started = time.monotonic()
            page = boss.get(URL).content.decode()
            assert time.monotonic() - started < 10, "it waits for nobody who never answers"
            assert "The message broker d" in page and "nothing is lost" in page and "not known" in page


def test_messages_in_the_broker_are_counted(settings: Any) -> None:
    with Connection(settings.BROKER_URL) as broker:
        for number in range(3):
            broker.SimpleQueue("counted").put(number)
        told = broker_depths.ask(["counted", "no-such-queue"])
        broker.SimpleQueue("counted").clear()
    assert told.trouble == "" and told.messages == {"counted": 3, "no-such-queue": 0}


def test_a_queue_is_paused_with_a_reason_and_resumed(boss: Client) -> None:
    assert "Pause the queue" in boss.get(f"{URL}reports/pause/").content.decode()
    assert not QueuePause.objects.exists()
    refused = boss.post(f"{URL}reports/pause/", {"reason": "  "})
    assert refused.status_code == 200 and "Say why it is paused" in refused.content.decode()
    assert boss.post(f"{URL}reports/pause/", {"reason": "the disk is full"})["Location"] == URL
    again = boss.post(f"{URL}reports/pause/", {"reason": "kept as typed"}).content.decode()
    assert "is paused already" in again and "kept as typed" in again
    page = boss.get(URL).content.decode()
    assert "Paused by boss" in page and "the disk is full" in page
    assert boss.get(f"{URL}reports/resume/").status_code == 405
    assert "is running again" in boss.post(f"{URL}reports/resume/", follow=True).content.decode()
    assert "is not paused" in boss.post(f"{URL}reports/resume/", follow=True).content.decode()
    assert list(AuditEntry.objects.order_by("id").values_list("action", flat=True)) == [
        "paused the queue", "resumed the queue",
    ]  # fmt: skip
    assert boss.post(f"{URL}nosuch/pause/", {"reason": "x"}).status_code == 404


def test_who_may_look_may_not_therefore_pause(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    client.force_login(viewer)
    assert {client.get(path).status_code for path in (URL, f"{URL}live/")} == {403}
    viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert client.get(f"{URL}live/").status_code == 200
    assert "/pause/" not in client.get(URL).content.decode()
    assert client.get(f"{URL}reports/pause/").status_code == 403
    assert client.post(f"{URL}reports/pause/", {"reason": "x"}).status_code == 403
    assert client.post(f"{URL}reports/resume/").status_code == 403
    assert not QueuePause.objects.exists()


def test_few_runs_and_many_take_the_same_number_of_queries(boss: Client) -> None:
    boss.get(URL)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            boss.get(f"{URL}live/")
        return len(queries)

    for number in range(10):
        plan()
        worker(f"worker@m{number}:1", "newsletters")
        ledger.claim(plan().pk, f"worker@m{number}:7")
    few = count()
    for number in range(10, 60):
        plan()
        worker(f"worker@m{number}:1", "newsletters")
        ledger.claim(plan().pk, f"worker@m{number}:7")
    assert count() == few <= 16
