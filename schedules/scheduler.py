"""Beat's scheduler: asks the database what is due, plans it in the ledger, and wakes the publisher."""

from __future__ import annotations

import gc
import logging
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django_celery_beat.schedulers import DatabaseScheduler

from runs import clock, heartbeats, rescue
from schedules import outside, planner
from schedules.models import Schedule
from schedules.publisher import PublisherThread
from schedules.watchdog import WatchdogThread

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 2
RESCUE_SECONDS = 2
PLANNING_SECONDS = 5
"""How long one tick may go on planning a backlog before it shows a sign of life again."""


class LedgerScheduler(DatabaseScheduler):  # type: ignore[misc]
    """A DatabaseScheduler that holds nothing in memory, so there is nothing to reload, lose or overwrite.

    The stock class keeps every entry in a heap, publishes before it stores, and decides by last_run_at;
    here each tick is an index probe on ``next_due_at`` and the database arbitrates between beats.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._name = heartbeats.process_name("beat")
        self._last_heartbeat = 0.0
        self._last_rescue = 0.0
        self._publisher: PublisherThread | None = None
        self._watchdog = WatchdogThread()
        super().__init__(*args, **kwargs)
        self.max_interval = settings.BEAT_TICK_SECONDS

    def setup_schedule(self) -> None:
        """Loads nothing. Entries of ``beat_schedule`` are refused: schedules live in the database alone."""
        if self.app.conf.beat_schedule:
            raise ValueError("beat_schedule in the settings is not used; add the schedule in the admin")

    @property
    def schedule(self) -> dict[str, Any]:
        """Always empty: no entry is held in memory."""
        return {}

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Plans what is due and returns the seconds to sleep."""
        if self._publisher is None:
            # A full batch makes tens of thousands of short-lived objects; what was imported need not be looked at again.
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            self._publisher = PublisherThread(self.app)
            self._publisher.start()
            self._watchdog.start()
            logger.info("beat is up (%s)", self._name)
        try:
            close_old_connections()
            return self._tick()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("the database does not answer (%s); trying again", error)
            connection.close()
            return self.max_interval
        except Exception:
            # Whatever it is, it must not end the beat: everything else keeps its time.
            logger.exception("a tick failed; trying again")
            connection.close()
            return self.max_interval

    def _tick(self) -> float:
        started = time.monotonic()
        handled = 0
        while time.monotonic() - started < PLANNING_SECONDS:
            if outside.reconcile():
                self._wake()  # what fell due before a change was planned with it
            batch = planner.plan_due(self._publisher.take if self._publisher is not None else None)
            if not batch:
                break
            handled += batch
            self._wake()
        planner.end_pauses()
        self._rescue()
        self._show_life(handled)
        return self._seconds_to_next()

    def _rescue(self) -> None:
        if time.monotonic() - self._last_rescue >= RESCUE_SECONDS:
            self._last_rescue = time.monotonic()
            if touched := rescue.rescue(clock.now()):
                logger.warning("runs whose worker went silent: %s", touched)
                self._wake()

    def _show_life(self, handled: int) -> None:
        if handled:
            logger.info("planned the occurrences of %s schedule(s)", handled)
        if time.monotonic() - self._last_heartbeat >= HEARTBEAT_SECONDS:
            self._last_heartbeat = time.monotonic()
            now = clock.now()
            heartbeats.beat(self._name, "beat", now, skew_seconds=round(time.time() - now.timestamp(), 3))

    def _seconds_to_next(self) -> float:
        following = Schedule.objects.filter(next_due_at__isnull=False).order_by("next_due_at")
        due_at = following.values_list("next_due_at", flat=True).first()
        if due_at is None:
            return float(self.max_interval)
        return float(min(self.max_interval, max(0.01, (due_at - clock.now()).total_seconds())))

    def _wake(self) -> None:
        if self._publisher is not None:
            self._publisher.wake()

    def should_sync(self) -> bool:
        """Never: every fact is written when it happens."""
        return False

    def sync(self) -> None:
        """Nothing is held back, so there is nothing to write."""

    def close(self) -> None:
        """Stops the publisher after the batch in hand."""
        self._watchdog.stop()
        if self._publisher is not None:
            self._publisher.stop()
