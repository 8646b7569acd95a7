"""Pure: the three ways a schedule can be timed (calendar pattern, interval, once), behind one interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from schedules import cron


class Timing(Protocol):
    """When a schedule is due; all instants are aware UTC."""

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        """The next ``count`` instants strictly after ``after``."""

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        """At most ``limit`` instants with after < instant <= until, earliest first."""

    def describe(self) -> str:
        """The timing in words."""


@dataclass(frozen=True)
class CronTiming:
    """A calendar pattern in a time zone."""

    spec: cron.CronSpec

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        return self.spec.upcoming(after, count)

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        return self.spec.between(after, until, limit)

    def describe(self) -> str:
        return self.spec.describe()


@dataclass(frozen=True)
class IntervalTiming:
    """Every so many seconds of elapsed time, counted from an anchor that nothing moves."""

    anchor: datetime
    every: timedelta

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        first = max(0, (after - self.anchor) // self.every + 1)
        return [self.anchor + self.every * n for n in range(first, first + count)]

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        first = max(0, (after - self.anchor) // self.every + 1)
        last = (until - self.anchor) // self.every
        return [self.anchor + self.every * n for n in range(first, min(last + 1, first + limit))]

    def describe(self) -> str:
        return f"Every {words_for_duration(self.every)}"


@dataclass(frozen=True)
class OnceTiming:
    """One single instant."""

    at: datetime
    timezone: str

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        return [self.at] if count > 0 and self.at > after else []

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        return [self.at] if limit > 0 and after < self.at <= until else []

    def describe(self) -> str:
        local = self.at.astimezone(ZoneInfo(self.timezone))
        return f"Once, on {local:%A} {local.day} {local:%B %Y} at {local:%H:%M}"


def words_for_duration(duration: timedelta) -> str:
    """ "1 hour", "90 minutes", "2 days": the largest unit that divides it evenly."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    return "second" if seconds == 1 else f"{seconds} seconds"
