"""Where the next moment of a rate is kept, and the arithmetic of it: in Redis by a script, in the database by a row lock.

A mail is due one interval after the one before. A mail that is late moves those after it, except by the credit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from newsletters.models import Pace
from runs import clock
from runs.locking import locked

SLOWEST = 0.1
"""Mails a second: however often a server complains, no slower."""
HALVED_AT_MOST_EVERY = 2
"""Seconds: many mails that were on their way together get the same complaint."""
GROWTH, GROWS_EVERY = 1.1, 5
"""A speed that was halved grows by a tenth every five seconds, and is forgotten when it is four times itself."""
FORGOTTEN_AT = 4
TIMEOUT_SECONDS = 2
"""How long Redis may take to answer."""


class Store(Protocol):
    """Keeps the pace of each key for all processes."""

    def take(self, key: str, interval: float, credit: float, most: int) -> tuple[int, float]:
        """How many may go now, and in how many seconds the next one may."""

    def slow_down(self, key: str, per_second: float) -> None:
        """Halves the speed."""

    def is_slowed(self, key: str) -> bool:
        """Whether it is halved at present."""


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

    def hold(self, until: float) -> None:
        """Nothing goes before then."""
        self.next_at = max(self.next_at, until)

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

    def take(self, key: str, interval: float, credit: float, most: int, *, not_before: float = 0) -> tuple[int, float]:
        """``not_before`` in seconds since 1970."""

        def take(state: State, now: float) -> tuple[int, float]:
            state.hold(not_before)
            return state.take(now, interval, credit, most)

        granted, wait = self._change(key, take)
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
  local interval, credit, most, hold = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  local grown = cap_at(cap, capped_at, now)
  if grown > 0 then interval = math.max(interval, 1 / grown) end
  if interval == 0 then return {{most, '0'}} end
  if hold > 0 then next_at = math.max(next_at, now + hold) end
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
    """A hash for each key, changed by one script: the same arithmetic as :class:`State`, by Redis's own clock.

    Each call raises redis.RedisError where Redis does not answer in time; it may have done its part all the same.
    """

    def __init__(self, url: str) -> None:
        self._client = _client(url)
        self._script = self._client.register_script(_LUA)

    def take(self, key: str, interval: float, credit: float, most: int, *, hold: float = 0) -> tuple[int, float]:
        """``hold``: in how many seconds the next one may go at the earliest."""
        granted, wait = self._ask(key, "take", interval, credit, most, hold)
        return int(granted), float(wait)

    def slow_down(self, key: str, per_second: float) -> None:
        self._ask(key, "slow_down", per_second)

    def is_slowed(self, key: str) -> bool:
        return float(self._ask(key, "is_slowed")) > 0

    def answers(self) -> bool:
        """Whether Redis can be asked again."""
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def _ask(self, key: str, *arguments: object) -> Any:
        return self._script(keys=[f"{settings.BROKER_PREFIX}pace:{key}"], args=list(arguments))


@functools.cache
def _client(url: str) -> Any:
    """One pool of connections for each address; it is not shared with a process that was forked from this one."""
    where = url.replace("redis+socket://", "unix://", 1)
    # A connection that a restart cut off is worth another try; one that hangs is not.
    again = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis.Redis.from_url(
        where, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=again
    )
