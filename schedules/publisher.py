"""Ledger to broker: sends waiting runs in pipelined batches and again, with back-off, until one is claimed."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from celery import Celery
from django.db import close_old_connections, connection, transaction
from kombu import Producer

from runs import canaries, clock, failpoints, ledger, occurrences, queue_pauses
from runs.locking import skip_locked
from runs.models import Run
from runs.occurrences import Unsent
from runs.states import WAITING
from schedules import messages, repeats

logger = logging.getLogger(__name__)

BATCH = 1000
MOST_TAKEN = 50
"""Batches kept in memory; what is beyond comes from the ledger."""
RESERVED_SECONDS = 10
"""While a batch is on its way to the broker no other beat sends it; a beat that dies leaves it for this long."""


def publish_due(app: Celery, producer: Producer) -> int:
    """Sends one batch of runs whose time to be published has come; returns how many.

    Raises whatever the broker connection raises; the runs then stay in the outbox and are tried again.
    """
    now = clock.now()
    occurrences.expire_unstarted(now)
    batch = _reserve(now)
    if batch:
        _send(app, producer, batch)
    return len(batch)


def publish(app: Celery, producer: Producer, batch: Sequence[Unsent]) -> None:
    """Sends runs that were planned a moment ago, and notes it. Raises as :func:`publish_due` does."""
    if held := set(queue_pauses.names()):
        # The ledger keeps those of a paused queue until it is resumed.
        _release([run.pk for run in batch if run.queue in held])
        batch = [run for run in batch if run.queue not in held]
    _send(app, producer, batch)


def _send(app: Celery, producer: Producer, batch: Sequence[Unsent]) -> None:
    """Sends runs that this beat has reserved, and notes it."""
    failpoints.passing("before_publish")
    try:
        messages.send(app, producer, batch)
    except Exception:
        # Delivery is unknown: some messages may have arrived, and a second copy is dropped at claim.
        _release([run.pk for run in batch])
        raise
    failpoints.passing("after_publish")
    ledger.mark_published([run.pk for run in batch], clock.now())


def _reserve(now: datetime) -> list[Unsent]:
    """Picks due runs and keeps other beats from sending them for a moment."""
    due = Run.objects.filter(next_publish_at__isnull=False, state__in=WAITING, next_publish_at__lte=now).order_by()
    due = due.exclude(queue__in=queue_pauses.names())
    if not due.exists():
        return []
    with transaction.atomic():
        rows = skip_locked(due).order_by("next_publish_at").values_list("pk", "queue", "time_limit_seconds")[:BATCH]
        batch = [Unsent(*row) for row in rows]
        Run.objects.filter(pk__in=[run.pk for run in batch]).update(
            next_publish_at=now + timedelta(seconds=RESERVED_SECONDS)
        )
    return batch


def _release(run_ids: list[int]) -> None:
    Run.objects.filter(pk__in=run_ids, state__in=WAITING).update(next_publish_at=clock.now() + timedelta(seconds=1))


class PublisherThread(threading.Thread):
    """Publishes beside the planning loop, so that a broker that is away or hangs never delays planning."""

    def __init__(self, app: Celery) -> None:
        super().__init__(name="publisher", daemon=True)
        self._app = app
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._is_broker_away = False
        self._canaries = canaries.Sender()
        self._repeats = repeats.Watch()
        self._taken: deque[list[Unsent]] = deque()

    def wake(self) -> None:
        """Says that there is something to publish now."""
        self._wake.set()

    def take(self, unsent: list[Unsent]) -> None:
        """Takes runs that were planned a moment ago and that nobody else sends for now.

        While the broker is away they go straight back to the ledger, which offers them again soon.
        """
        if self._is_broker_away or len(self._taken) >= MOST_TAKEN:
            _release([run.pk for run in unsent])
        else:
            self._taken.append(unsent)
        self._wake.set()

    def stop(self) -> None:
        """Ends the thread after the batch in hand."""
        self._stopped.set()
        self._wake.set()
        self.join(timeout=5)

    def run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(timeout=1)
            self._wake.clear()
            try:
                close_old_connections()
                self._drain()
            except Exception as error:
                connection.close()
                self._note_outage(error)
                self._give_back()
                self._stopped.wait(1)
        connection.close()

    def _drain(self) -> None:
        with self._app.connection_for_write() as broker, broker.channel() as channel:
            producer = Producer(channel, auto_declare=False)
            while not self._stopped.is_set():
                self._canaries.send_if_due(self._app, producer)
                self._repeats.look_if_due(broker)
                while self._taken:
                    publish(self._app, producer, self._taken.popleft())
                if not publish_due(self._app, producer):
                    if self._is_broker_away:
                        self._is_broker_away = False
                        logger.info("the message broker is back; waiting runs are being sent")
                    self._wake.wait(timeout=1)
                    self._wake.clear()
                    close_old_connections()

    def _give_back(self) -> None:
        """What was taken and could not be sent is offered again at once, by this beat or another."""
        try:
            while self._taken:
                _release([run.pk for run in self._taken[0]])
                self._taken.popleft()
        except Exception:
            # The database is away as well: whoever is back first sends them when their time is over.
            self._taken.clear()
            connection.close()

    def _note_outage(self, error: Exception) -> None:
        if not self._is_broker_away:
            self._is_broker_away = True
            logger.warning("cannot send runs to workers (%s); they wait in the ledger and are tried again", error)
