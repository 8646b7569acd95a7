"""The pace while Redis does not answer: all processes keep it in the database together, and go back together.

A row of the database says since when and until when. Whoever asks Redis has looked at it a moment before, so that no
grant of one store falls into the time of the other; what was granted before a change counts after it as well.
"""

from __future__ import annotations

import logging
import time

import redis
from django.conf import settings
from django.db import transaction

from newsletters.models import Pace
from newsletters.pacing import TIMEOUT_SECONDS, InDatabase, InRedis, Store
from runs import clock
from runs.locking import locked

logger = logging.getLogger(__name__)

AWAY = "redis is away"
"""The key of the row: ``capped_at`` is since when, ``next_at`` until when, ``cap`` whether Redis answered meanwhile."""
AWAY_SECONDS = 60
"""A Redis that did not answer is left alone for so long."""
LOOK_SECONDS = 1
"""Others may not have noticed it for so long; a last call of theirs takes as long as Redis may."""
HANDOVER_SECONDS = LOOK_SECONDS + TIMEOUT_SECONDS
PROBE_SECONDS = 5
"""So long before the end, one process asks whether Redis is back."""
BACK_SECONDS = 0.5
"""At the end nothing goes for so long, until all that the database granted is written down."""


def store() -> Store:
    """The broker's Redis, with the database for when it does not answer; the database where the broker is another."""
    return Detour(settings.BROKER_URL) if settings.BROKER_URL.startswith("redis") else InDatabase()


class Detour:
    """Redis as long as it answers, else the database."""

    def __init__(self, url: str) -> None:
        self._redis = InRedis(url)
        self._database = InDatabase()
        self._since: float | None = None
        self._looked_at = float("-inf")
        self._must_hold = False

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        """As :meth:`Store.take`."""
        if not self._is_away():
            try:
                hold = self._database.take(key, interval, credit, 0)[1] if self._must_hold else 0
                answer = self._redis.take(key, interval, credit, most, hold=hold)
                self._must_hold = False
                return answer
            except redis.RedisError as error:
                self._leave(error)
        if self._since is None:
            return 0, BACK_SECONDS
        return self._database.take(key, interval, credit, most, not_before=self._since + HANDOVER_SECONDS + interval)

    def slow_down(self, key: str, per_second: float) -> None:
        """As :meth:`Store.slow_down`."""
        if not self._is_away():
            try:
                self._redis.slow_down(key, per_second)
                return
            except redis.RedisError as error:
                self._leave(error)
        self._database.slow_down(key, per_second)

    def is_slowed(self, key: str) -> bool:
        """As :meth:`Store.is_slowed`."""
        if not self._is_away():
            try:
                return self._redis.is_slowed(key)
            except redis.RedisError as error:
                self._leave(error)
        return self._database.is_slowed(key)

    def _is_away(self) -> bool:
        """Whether Redis is not to be asked now; ``_since`` is None in the moment in which neither is."""
        if self._since is None and time.monotonic() - self._looked_at < LOOK_SECONDS:
            return False
        row = Pace.objects.filter(key=AWAY).first()
        now = clock.now().timestamp()
        if row is not None and now < row.next_at:
            self._since = row.capped_at
            if not row.cap and row.next_at - now < PROBE_SECONDS:
                self._probe(row)
            self._must_hold = True
            return True
        if row is not None and self._looked_at == float("-inf"):
            self._must_hold = True  # others came back; this is our first question
        self._since = None
        if row is not None and now < row.next_at + BACK_SECONDS:
            return True
        self._looked_at = time.monotonic()
        return False

    def _probe(self, row: Pace) -> None:
        """One process asks, on behalf of all: it may take long."""
        mine = Pace.objects.filter(key=AWAY, next_at=row.next_at)
        if not mine.update(next_at=row.next_at + PROBE_SECONDS + TIMEOUT_SECONDS):
            return
        rows = Pace.objects.filter(key=AWAY)
        if self._redis.answers():
            rows.update(cap=1)
        else:
            rows.update(next_at=clock.now().timestamp() + AWAY_SECONDS)

    def _leave(self, error: Exception) -> None:
        logger.warning("Redis does not answer (%s); the rate of newsletters is kept in the database", error)
        with transaction.atomic():
            Pace.objects.get_or_create(key=AWAY)
            row = locked(Pace.objects.filter(key=AWAY)).get()
            now = clock.now().timestamp()
            if now >= row.next_at:
                row.capped_at = now
            row.next_at, row.cap = now + AWAY_SECONDS, 0
            row.save()
        self._since, self._must_hold = row.capped_at, True
