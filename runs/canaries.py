"""Canaries: a tiny message through every queue, on the way of the real runs, only to see whether a worker takes it.

A heartbeat says that a process lives; only an answered message says that it listens.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from celery import Celery, shared_task
from django.conf import settings
from django.db.models import F, Q
from kombu import Producer

from runs import clock, heartbeats
from runs.models import Heartbeat, QueueCanary, Run
from runs.states import State

TASK = "runs.canary"
CANARY_SECONDS = 30
UNANSWERED = timedelta(seconds=40)
BUSY = timedelta(minutes=15)
SENDER = "canaries"
"""The name of the row on which beats agree who sends next."""
WORKER_SEEN = timedelta(seconds=25)
"""A worker shows a sign of life every 10 s; one that missed two does not count as one that is busy."""
RECENTLY = timedelta(seconds=40)
RECENT_DUE = timedelta(hours=1)


class Unanswered(NamedTuple):
    """Queues whose canary waits too long."""

    deaf: list[str]
    """Nothing explains the silence: nobody reads the queue."""
    busy: list[str]
    """Every process that reads the queue has had other work for a long time."""


@shared_task(name=TASK, ignore_result=True, acks_late=False)
def canary(queue: str) -> None:
    """Answers: some worker reads this queue."""
    QueueCanary.objects.filter(queue=queue).update(
        answered_at=clock.now(), worker=heartbeats.process_name("worker")[:120]
    )


class Sender:
    """Sends the canaries from within the publisher's loop, whichever beat is first in each period."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def send_if_due(self, app: Celery, producer: Producer) -> bool:
        """Sends one canary per queue unless that was done less than 30 s ago; raises what the broker raises."""
        if time.monotonic() < self._look_at:
            return False
        now = clock.now()
        last = _last_sent(now)
        due_in = CANARY_SECONDS - (now - last).total_seconds() if last is not None else 0.0
        if 0 < due_in <= CANARY_SECONDS:
            self._look_at = time.monotonic() + due_in
            return False
        if last is not None and not _take_turn(last, now):
            return False  # another beat was first; the next look shows when
        send(app, producer, now, last)
        self._look_at = time.monotonic() + CANARY_SECONDS
        return True


def _last_sent(now: datetime) -> datetime | None:
    """When canaries went out last; None when this call made the row, and so has the first turn."""
    row, is_new = Heartbeat.objects.get_or_create(
        name=SENDER, defaults={"role": "watchdog", "started_at": now, "seen_at": now}
    )
    return None if is_new else row.seen_at


def _take_turn(last: datetime, now: datetime) -> bool:
    return bool(Heartbeat.objects.filter(name=SENDER, seen_at=last).update(seen_at=now))


def send(app: Celery, producer: Producer, now: datetime, last: datetime | None = None) -> None:
    """Puts one canary on each queue. The age of one that is unanswered stays: it is sent again, not begun anew.

    Nothing piles up in a queue that nobody reads: it is sent again only when the queue is empty. An expiry would not do
    that on Redis, and would lose the answer of a worker that was only busy.
    """
    waiting = _begin(now)
    try:
        for queue in settings.QUEUES:
            if queue not in waiting or _is_empty(producer, queue):
                _publish(app, producer, queue)
    except Exception:
        # The broker is away, which says nothing about who reads the queues.
        QueueCanary.objects.filter(sent_at=now).update(sent_at=None)
        if last is not None:
            Heartbeat.objects.filter(name=SENDER, seen_at=now).update(seen_at=last)
        raise


def _begin(now: datetime) -> set[str]:
    """Begins a new canary on each queue whose last one was answered; returns the queues of the others."""
    QueueCanary.objects.bulk_create([QueueCanary(queue=queue) for queue in settings.QUEUES], ignore_conflicts=True)
    answered = Q(sent_at=None) | Q(answered_at__gte=F("sent_at"))
    QueueCanary.objects.filter(answered, queue__in=settings.QUEUES).update(sent_at=now)
    others = QueueCanary.objects.filter(queue__in=settings.QUEUES, sent_at__lt=now)
    return set(others.values_list("queue", flat=True))


def _is_empty(producer: Producer, queue: str) -> bool:
    connection: Any = producer.connection
    try:
        # A channel of its own: RabbitMQ closes the one on which somebody asks for a queue that does not exist.
        with connection.channel() as channel:
            return bool(channel.queue_declare(queue=queue, passive=True).message_count == 0)
    except connection.channel_errors:
        return True


def _publish(app: Celery, producer: Producer, queue: str) -> None:
    message = app.amqp.as_task_v2(
        str(uuid.uuid4()), TASK, args=(queue,), ignore_result=True, argsrepr=f"({queue!r},)", kwargsrepr="{}",
        origin="almanac",
    )  # fmt: skip
    producer.publish(message.body, routing_key=queue, serializer="json", headers=message.headers, **message.properties)


def unanswered(now: datetime) -> Unanswered:
    """The queues whose canary has waited for more than 40 s without a worker being busy, and those busy for 15 min."""
    waiting = QueueCanary.objects.filter(queue__in=settings.QUEUES, sent_at__lt=now - UNANSWERED)
    waiting = waiting.filter(Q(answered_at=None) | Q(answered_at__lt=F("sent_at")))
    deaf, busy = [], []
    for one in waiting.order_by("queue"):
        if not is_busy(one.queue, now):
            deaf.append(one.queue)
        elif one.sent_at is not None and one.sent_at < now - BUSY:
            busy.append(one.queue)
    return Unanswered(deaf, busy)


def is_busy(queue: str, now: datetime) -> bool:
    """Whether the processes that read this queue have their hands full, or were seen taking runs a moment ago."""
    queues, processes = _readers(queue, now)
    running = Run.objects.filter(state=State.RUNNING, lease_until__gt=now, queue__in=queues)
    # One busy process explains nothing when another one of the same workers is idle.
    if running.count() >= max(1, processes):
        return True
    recent = Run.objects.filter(due_at__gte=now - RECENT_DUE, queue__in=queues, started_at__gte=now - RECENTLY)
    return recent.filter(state__in=(State.SUCCEEDED, State.FAILED, State.CANCELLED)).exists()


def _readers(queue: str, now: datetime) -> tuple[Sequence[str], int]:
    """The queues that this queue's workers read, and how many processes they have together."""
    queues, processes = {queue}, 0
    alive = Heartbeat.objects.filter(role="worker", seen_at__gte=now - WORKER_SEEN)
    for details in alive.values_list("details", flat=True):
        if queue in details.get("queues", ()):
            queues |= set(details["queues"])
            processes += int(details.get("processes", 0))
    return sorted(queues), processes
