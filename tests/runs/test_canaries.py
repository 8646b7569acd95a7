"""A message through every queue shows which ones nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from kombu import Connection, Producer

from runs import canaries, clock, heartbeats, ledger
from runs.canaries import Sender, canary, unanswered
from runs.models import Heartbeat, QueueCanary, Run
from runs.states import State, Trigger
from scheduler_site.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def two_queues(settings: Any) -> None:
    settings.QUEUES = ("default", "reports")


@pytest.fixture
def broker() -> Iterator[Connection]:
    with Connection("memory://") as connection:
        yield connection


@pytest.fixture
def producer(broker: Connection) -> Producer:
    channel: Any = broker.default_channel
    for queue in ("default", "reports"):
        channel.queue_declare(queue)
        channel.queue_purge(queue)  # memory outlives a connection
    return Producer(broker.default_channel, auto_declare=False)


def waiting(producer: Producer, queue: str) -> int:
    channel: Any = producer.channel
    return int(channel.queue_declare(queue, passive=True).message_count)


def answer(producer: Producer, queue: str) -> None:
    """What a worker does: take a message, perform its task."""
    channel: Any = producer.channel
    message = channel.basic_get(queue, no_ack=True)
    assert message.headers["task"] == canaries.TASK
    (arguments, _, _) = message.decode()
    app.tasks[message.headers["task"]](*arguments)


def sent(queue: str, age: int, *, answered: int | None = None) -> None:
    """A canary of that age; ``answered`` is the age of the answer."""
    now = clock.now()
    answered_at = None if answered is None else now - timedelta(seconds=answered)
    QueueCanary.objects.create(queue=queue, sent_at=now - timedelta(seconds=age), answered_at=answered_at)


def run_on(queue: str, *, lease: int = 30) -> Run:
    run = ledger.plan(ledger.NewRun("test", None, "Test", trigger=Trigger.MANUAL, queue=queue))
    assert ledger.claim(run.pk, "w") is not None
    Run.objects.filter(pk=run.pk).update(lease_until=clock.now() + timedelta(seconds=lease))
    return run


def worker(name: str, *queues: str, processes: int = 1, age: int = 1) -> None:
    seen = clock.now() - timedelta(seconds=age)
    heartbeats.beat(name, "worker", seen, queues=list(queues), processes=processes)


def test_one_goes_through_each_queue_and_is_answered(producer: Producer) -> None:
    assert Sender().send_if_due(app, producer)
    assert [waiting(producer, queue) for queue in ("default", "reports")] == [1, 1]
    answer(producer, "default")
    row = QueueCanary.objects.get(queue="default")
    assert row.sent_at is not None and row.answered_at is not None and row.answered_at >= row.sent_at
    assert row.worker.startswith("worker@")
    assert QueueCanary.objects.get(queue="reports").answered_at is None


def test_workers_know_the_task() -> None:
    assert app.tasks[canaries.TASK] is not None and canary.name == canaries.TASK
    assert not canary.acks_late


def test_only_one_of_several_beats_sends_in_each_period(producer: Producer) -> None:
    beats = [Sender() for _ in range(3)]
    assert [beat.send_if_due(app, producer) for beat in beats] == [True, False, False]
    assert waiting(producer, "default") == 1
    Heartbeat.objects.filter(name=canaries.SENDER).update(seen_at=clock.now() - timedelta(seconds=31))
    assert [beat.send_if_due(app, producer) for beat in (Sender(), *beats)] == [True, False, False, False]


def test_two_beats_that_look_at_the_same_moment_agree(producer: Producer) -> None:
    now = clock.now()
    Sender().send_if_due(app, producer)
    last = Heartbeat.objects.get(name=canaries.SENDER).seen_at
    turns = [canaries._take_turn(last, now + timedelta(seconds=seconds)) for seconds in (31, 32)]
    assert turns == [True, False]


def test_an_unanswered_one_keeps_its_age_and_does_not_pile_up(producer: Producer) -> None:
    start = clock.now()
    canaries.send(app, producer, start)
    for minutes in range(1, 20):
        canaries.send(app, producer, start + timedelta(minutes=minutes))
    assert waiting(producer, "reports") == 1
    assert set(QueueCanary.objects.values_list("sent_at", flat=True)) == {start}


def test_one_that_the_broker_forgot_is_sent_again(producer: Producer, broker: Connection) -> None:
    start = clock.now()
    canaries.send(app, producer, start)
    channel: Any = broker.default_channel
    channel.queue_purge("reports")
    canaries.send(app, producer, start + timedelta(seconds=30))
    assert waiting(producer, "reports") == 1
    answer(producer, "reports")
    row = QueueCanary.objects.get(queue="reports")
    assert row.sent_at == start and row.answered_at is not None


def test_an_answered_one_is_begun_anew(producer: Producer) -> None:
    start = clock.now() - timedelta(seconds=30)
    canaries.send(app, producer, start)
    answer(producer, "default")
    canaries.send(app, producer, clock.now())
    assert QueueCanary.objects.get(queue="default").sent_at != start


def test_a_broker_that_is_away_says_nothing_about_the_readers(
    producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender()

    def refuse(*_: Any) -> None:
        raise ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(canaries, "_publish", refuse)
        with pytest.raises(ConnectionError):
            sender.send_if_due(app, producer)
        Heartbeat.objects.filter(name=canaries.SENDER).update(seen_at=clock.now() - timedelta(seconds=40))
        before = Heartbeat.objects.get(name=canaries.SENDER).seen_at
        with pytest.raises(ConnectionError):
            sender.send_if_due(app, producer)
    assert Heartbeat.objects.get(name=canaries.SENDER).seen_at == before  # the turn was given back
    assert set(QueueCanary.objects.values_list("sent_at", flat=True)) == {None}
    assert sender.send_if_due(app, producer)


def test_a_queue_without_an_answer_is_deaf() -> None:
    sent("default", 41)
    sent("reports", 39)
    assert unanswered(clock.now()) == (["default"], [])


def test_an_answered_queue_is_well_however_old_the_canary_is() -> None:
    sent("default", 4000, answered=3999)
    assert unanswered(clock.now()) == ([], [])


def test_the_answer_to_an_earlier_one_does_not_count() -> None:
    sent("default", 50, answered=60)
    assert unanswered(clock.now()).deaf == ["default"]


def test_a_queue_that_is_no_longer_used_is_forgotten() -> None:
    sent("old", 4000)
    assert unanswered(clock.now()) == ([], [])


def test_waiting_behind_a_busy_worker_is_no_alarm() -> None:
    sent("default", 60)
    run_on("default")
    assert unanswered(clock.now()) == ([], [])


def test_a_run_whose_lease_has_ended_excuses_nobody() -> None:
    sent("default", 60)
    run_on("default", lease=-1)
    assert unanswered(clock.now()).deaf == ["default"]


def test_busy_for_a_quarter_of_an_hour_is_said_apart() -> None:
    sent("default", 901)
    run_on("default")
    assert unanswered(clock.now()) == ([], ["default"])


def test_work_from_another_queue_of_the_same_worker_excuses_it() -> None:
    sent("default", 60)
    worker("w", "default", "reports")
    run_on("reports")
    assert unanswered(clock.now()) == ([], [])


def test_an_idle_process_beside_a_busy_one_has_no_excuse() -> None:
    sent("default", 60)
    worker("w", "default", processes=2)
    run = run_on("default")
    assert unanswered(clock.now()).deaf == ["default"]
    run_on("default")
    assert unanswered(clock.now()).deaf == []
    assert Run.objects.get(pk=run.pk).state == State.RUNNING


def test_the_processes_of_a_dead_worker_are_not_counted_as_idle() -> None:
    sent("default", 60)
    worker("alive", "default")
    worker("dead", "default", processes=8, age=30)
    run_on("default")
    assert unanswered(clock.now()).deaf == []


def test_a_worker_seen_taking_many_short_runs_is_busy() -> None:
    sent("default", 60)
    run = run_on("default")
    claimed = ledger.Claim(run, 1)
    ledger.finish(claimed, "Done.")
    assert unanswered(clock.now()).deaf == []
    Run.objects.update(started_at=clock.now() - timedelta(seconds=50))
    assert unanswered(clock.now()).deaf == ["default"]
