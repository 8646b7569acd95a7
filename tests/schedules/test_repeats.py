"""Runs whose message is lost go again soon; those that merely wait for their turn are not sent a second time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from kombu import Connection, Producer, Queue

from runs import clock
from runs.models import Run
from runs.states import State
from schedules import repeats

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker() -> Iterator[Connection]:
    with Connection("memory://") as connection:
        yield connection


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    return moment


def sent(now: datetime, *, messages: int, seconds_ago: int, queue: str = "letters") -> Run:
    """A run after its ``messages``-th message, of which the last went out ``seconds_ago`` (30 s back-off, doubled, at most 600 s)."""
    again = now - timedelta(seconds=seconds_ago) + timedelta(seconds=min(600, 30 * 2 ** (messages - 1)))
    return Run.objects.create(
        schedule_name="S", kind="test", due_at=now, created_at=now, queue=queue, state=State.PUBLISHED,
        publish_count=messages, next_publish_at=again,
    )  # fmt: skip


def put_message(broker: Connection, queue: str) -> None:
    with broker.channel() as channel:
        declared = Queue(queue, routing_key=queue)(channel)
        declared.declare()
        Producer(channel).publish({}, routing_key=queue, exchange="")


def next_publish(run: Run) -> datetime | None:
    return Run.objects.values_list("next_publish_at", flat=True).get(pk=run.pk)


def test_an_empty_queue_sends_what_waits_again_however_far_its_back_off(broker: Connection, now: datetime) -> None:
    far = sent(now, messages=6, seconds_ago=100)
    assert next_publish(far) == now + timedelta(seconds=500)

    repeats.Watch().look_if_due(broker)

    assert next_publish(far) == now


def test_a_message_that_a_worker_may_just_be_taking_is_left_alone(broker: Connection, now: datetime) -> None:
    fresh = sent(now, messages=3, seconds_ago=20)
    before = next_publish(fresh)

    repeats.Watch().look_if_due(broker)

    assert next_publish(fresh) == before


def test_while_messages_lie_in_the_queue_repeats_are_put_off(broker: Connection, now: datetime) -> None:
    put_message(broker, "letters.long")
    waiting = sent(now, messages=1, seconds_ago=30, queue="letters.long")

    repeats.Watch().look_if_due(broker)

    waiting.refresh_from_db()
    assert (waiting.next_publish_at, waiting.publish_count) == (now + timedelta(seconds=60), 2)


def test_a_queue_that_is_never_empty_does_not_hide_a_lost_message_for_ever(broker: Connection, now: datetime) -> None:
    put_message(broker, "letters.busy")
    lost = sent(now, messages=repeats.SURE_AFTER, seconds_ago=480, queue="letters.busy")

    repeats.Watch().look_if_due(broker)

    assert next_publish(lost) == now  # due: it goes out again


def test_it_looks_once_in_the_time_of_a_repeat(broker: Connection, now: datetime) -> None:
    watch = repeats.Watch()
    watch.look_if_due(broker)
    late = sent(now, messages=6, seconds_ago=100)
    before = next_publish(late)

    watch.look_if_due(broker)

    assert next_publish(late) == before


def test_runs_that_a_worker_has_are_none_of_its_business(broker: Connection, now: datetime) -> None:
    claimed = sent(now, messages=6, seconds_ago=100)
    Run.objects.filter(pk=claimed.pk).update(state=State.RUNNING, next_publish_at=None)

    repeats.Watch().look_if_due(broker)

    assert next_publish(claimed) is None
