"""Pure: the three ways a schedule can be timed (calendar pattern, interval, once) and moved, behind one interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from runs import words
from schedules import cron, wall_clock
from schedules.working_days import CalendarError, WorkingDays


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
        return f"Once, on {words.full_date(local)} at {local:%H:%M}"


@dataclass(frozen=True)
class MovingTiming:
    """A timing that a calendar moves: what falls on a holiday is also due on the next working day, at the same time.

    The holiday's own due time stays, so that its row can say why nothing ran then and when it ran instead.
    """

    plain: Timing
    timezone: str
    days: WorkingDays

    def upcoming(self, after: datetime, count: int) -> list[datetime]:
        until = after
        found: list[datetime] = []
        while len(found) < count:
            ahead = self.plain.upcoming(until, count)
            if not ahead:  # only what is still to be moved is left
                return self.between(after, until + _LONGEST_STREAK, count)
            until = ahead[-1]
            found = self.between(after, until, count)
        return found

    def between(self, after: datetime, until: datetime, limit: int) -> list[datetime]:
        zone = ZoneInfo(self.timezone)
        # Whatever lands after ``after`` comes from the days off just before its day, or from later ones.
        first_day = self.days.streak_start(after.astimezone(zone).date())
        start = wall_clock.instant(datetime.combine(first_day, datetime.min.time()), zone) - timedelta(microseconds=1)
        found: set[datetime] = set()
        while True:
            due_times = self.plain.between(start, until, limit)
            for due in due_times:
                moments = [due]
                if self.days.holiday(due.astimezone(zone).date()):
                    moments.append(self.moved(due, zone, self.days))
                found.update(moment for moment in moments if after < moment <= until)
            if len(due_times) < limit:
                return sorted(found)[:limit]
            start = due_times[-1]
            # A later due time can only be moved further on: what lies before it is complete.
            if sum(moment <= start for moment in found) >= limit:
                return sorted(found)[:limit]

    def describe(self) -> str:
        return f"{self.plain.describe()}; a run on a holiday moves to the next working day"

    @staticmethod
    def moved(due: datetime, zone: ZoneInfo, days: WorkingDays) -> datetime:
        """The same time of day on the next working day."""
        local = due.astimezone(zone).replace(tzinfo=None, fold=0)
        try:
            target = days.next_working_day(local.date())
        except CalendarError as error:
            raise cron.CronError(str(error), "calendar") from error
        return wall_clock.instant(datetime.combine(target, local.time()), zone)


_LONGEST_STREAK = timedelta(days=400)


def words_for_duration(duration: timedelta) -> str:
    """ "1 hour", "90 minutes", "2 days": the largest unit that divides it evenly."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    return "second" if seconds == 1 else f"{seconds} seconds"
