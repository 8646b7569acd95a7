"""Where the next moment of a rate is kept, and the arithmetic of it: in Redis by a script, in the database by a row lock.

A mail is due one interval after the one before. A mail that is late moves those after it, except by the credit.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from django.conf import settings
from django.db import transaction

from newsletters.models import Pace
from runs import clock
from runs.locking import locked

logger = logging.getLogger(__name__)

SLOWEST = 0.1
"""Mails a second: however often a server complains, no slower."""
HALVED_AT_MOST_EVERY = 2
"""Seconds: many mails that were on their way together get the same complaint."""
GROWTH, GROWS_EVERY = 1.1, 5
"""A speed that was halved grows by a tenth every five seconds, and is forgotten when it is four times itself."""
FORGOTTEN_AT = 4
AWAY_SECONDS = 1.0


class Store(Protocol):
    """Keeps the pace of each key for all processes."""

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        """How many may go now, and in how many seconds the next one may."""

    def slow_down(self, key: str, per_second: float) -> None:
        """Halves the speed."""

    def is_slowed(self, key: str) -> bool:
        """Whether it is halved at present."""


def store() -> Store:
    """The broker's Redis; the database where the broker is another."""
    return InRedis(settings.BROKER_URL) if settings.BROKER_URL.startswith("redis") else InDatabase()


@dataclass
class State:
    """The pace of one key; times in seconds since 1970 by the store's own clock."""

    next_at: float = 0
    """When the next mail may go; 0 for never asked before."""
    cap: float = 0
    """Mails a second after a complaint; 0 for none."""
    capped_at: float = 0

    def cap_at(self, now: float) -> float:
        """The cap as it has grown since; 0 when it is forgotten."""
        if not self.cap:
            return 0
        grown = GROWTH ** min(100, (now - self.capped_at) / GROWS_EVERY)
        return 0 if grown >= FORGOTTEN_AT else self.cap * grown

    def take(self, now: float, interval: float, credit: float, most: int) -> tuple[int, float]:
        """As :meth:`Store.take`."""
        if cap := self.cap_at(now):
            interval = max(interval, 1 / cap)
        if not interval:
            return most, 0
        self.next_at = max(self.next_at, now - credit) if self.next_at else now
        granted = min(most, int((now - self.next_at) / interval) + 1) if self.next_at <= now else 0
        self.next_at += granted * interval
        return granted, max(0, self.next_at - now)

    def slow_down(self, now: float, per_second: float) -> None:
        """As :meth:`Store.slow_down`."""
        if self.cap and now - self.capped_at < HALVED_AT_MOST_EVERY:
            return
        speed = min(per_second, self.cap_at(now) or per_second)
        self.cap, self.capped_at = max(SLOWEST, speed / 2), now


class InDatabase:
    """A row for each key."""

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        granted, wait = self._change(key, lambda state, now: state.take(now, interval, credit, most))
        return granted, wait

    def slow_down(self, key: str, per_second: float) -> None:
        self._change(key, lambda state, now: state.slow_down(now, per_second))

    def is_slowed(self, key: str) -> bool:
        row = Pace.objects.filter(key=key).exclude(cap=0).first()
        return row is not None and State(row.next_at, row.cap, row.capped_at).cap_at(clock.now().timestamp()) > 0

    def _change(self, key: str, change: Callable[[State, float], Any]) -> Any:
        with transaction.atomic():
            Pace.objects.get_or_create(key=key)
            row = locked(Pace.objects.filter(key=key)).get()
            state = State(row.next_at, row.cap, row.capped_at)
            answer = change(state, clock.now().timestamp())
            row.next_at, row.cap, row.capped_at = state.next_at, state.cap, state.capped_at
            row.save()
        return answer


_LUA = f"""
local function cap_at(cap, capped_at, now)
  local grown = {GROWTH} ^ ((now - capped_at) / {GROWS_EVERY})
  if cap == 0 or grown >= {FORGOTTEN_AT} then return 0 end
  return cap * grown
end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'next_at', 'cap', 'capped_at')
local next_at, cap, capped_at = tonumber(kept[1] or 0), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
if ARGV[1] == 'is_slowed' then return tostring(cap_at(cap, capped_at, now)) end
local answer
if ARGV[1] == 'slow_down' then
  local speed = tonumber(ARGV[2])
  if cap == 0 or now - capped_at >= {HALVED_AT_MOST_EVERY} then
    local grown = cap_at(cap, capped_at, now)
    if grown > 0 then speed = math.min(speed, grown) end
    cap, capped_at = math.max({SLOWEST}, speed / 2), now
  end
  answer = 'noted'
else
  local interval, credit, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
  local grown = cap_at(cap, capped_at, now)
  if grown > 0 then interval = math.max(interval, 1 / grown) end
  if interval == 0 then return {{most, '0'}} end
  if next_at == 0 then next_at = now else next_at = math.max(next_at, now - credit) end
  local granted = 0
  if next_at <= now then granted = math.min(most, math.floor((now - next_at) / interval) + 1) end
  next_at = next_at + granted * interval
  answer = {{granted, string.format('%.6f', math.max(0, next_at - now))}}
end
redis.call('HSET', KEYS[1], 'next_at', string.format('%.6f', next_at), 'cap', cap, 'capped_at', string.format('%.6f', capped_at))
redis.call('EXPIRE', KEYS[1], math.ceil(math.max(3600, (next_at - now) * 2)))
return answer
"""


class InRedis:
    """A hash for each key, changed by one script: the same arithmetic as :class:`State`, by Redis's own clock."""

    def __init__(self, url: str) -> None:
        self._script = _client(url).register_script(_LUA)

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        try:
            granted, wait = self._ask(key, "take", interval, credit, most)
        except redis.RedisError:
            logger.warning("the rate of newsletters cannot be read; nothing is sent until it can", exc_info=True)
            return 0, AWAY_SECONDS
        return int(granted), float(wait)

    def slow_down(self, key: str, per_second: float) -> None:
        try:
            self._ask(key, "slow_down", per_second)
        except redis.RedisError:
            logger.warning("a server's wish to go slower could not be kept", exc_info=True)

    def is_slowed(self, key: str) -> bool:
        try:
            return float(self._ask(key, "is_slowed")) > 0
        except redis.RedisError:
            return False

    def _ask(self, key: str, *arguments: object) -> Any:
        return self._script(keys=[f"{settings.BROKER_PREFIX}pace:{key}"], args=list(arguments))


@functools.cache
def _client(url: str) -> Any:
    """One pool of connections for each address; it is not shared with a process that was forked from this one."""
    where = url.replace("redis+socket://", "unix://", 1)
    return redis.Redis.from_url(where, socket_timeout=2, socket_connect_timeout=2)
