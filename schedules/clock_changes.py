"""Pure: what the coming changes of the clocks do to a timing, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from runs import words
from schedules import cron, wall_clock
from schedules.cron_words import joined

AHEAD = timedelta(days=245)
MOST_LISTED = 3


@dataclass(frozen=True)
class ClockChange:
    """One change of a zone's clocks."""

    at: datetime
    before: datetime
    """What clocks show at that moment, naive, if they had not been changed."""
    after: datetime
    """What they show instead."""

    @property
    def is_forward(self) -> bool:
        return self.after > self.before

    @property
    def words(self) -> str:
        """ "On Sunday 28 March 2027 clocks go forward from 02:00 to 03:00"."""
        day = self.before
        way = "forward" if self.is_forward else "back"
        return f"On {words.full_date(day)} clocks go {way} from {self.before:%H:%M} to {self.after:%H:%M}"


def coming(zone: ZoneInfo, now: datetime, until: datetime) -> Iterator[ClockChange]:
    """The changes after ``now``, up to ``until``."""
    moment = now
    while (change := wall_clock.next_change(moment, until, zone)) is not None:
        before = wall_clock.offset_at(change - wall_clock.SECOND, zone)
        after = wall_clock.offset_at(change, zone)
        plain = change.replace(tzinfo=None)
        yield ClockChange(change, plain + before, plain + after)
        moment = change


def of_pattern(expression: str, zone: ZoneInfo, now: datetime) -> list[str]:
    """One sentence for each change within eight months that touches the pattern."""
    # In UTC no clock ever changes: there the pattern says which times of day it names.
    plain = cron.parse(expression, "UTC")
    found = []
    for change in coming(zone, now, now + AHEAD):
        first, last = sorted((change.before, change.after))
        start = first.replace(tzinfo=UTC) - wall_clock.SECOND
        named = plain.between(start, last.replace(tzinfo=UTC) - wall_clock.SECOND, 60)
        if named:
            found.append(f"{change.words}: {_outcome(change, [w.replace(tzinfo=None) for w in named], plain)}.")
    return found


def _outcome(change: ClockChange, named: list[datetime], spec: cron.CronSpec) -> str:
    if spec.follows_elapsed_time:
        return "the runs in between are left out that day" if change.is_forward else "the runs in that hour come twice"
    if len(named) > MOST_LISTED:
        return (
            f"the runs in between become one, at {change.after:%H:%M}"
            if change.is_forward
            else "times that come twice run the first time only"
        )
    times = joined([f"{wall:%H:%M}" for wall in named])
    if change.is_forward:
        one = "does" if len(named) == 1 else "do"
        return f"{times} {one} not exist that day, and it runs at {change.after:%H:%M}"
    return f"{times} come{'s' if len(named) == 1 else ''} twice that day, and it runs the first time only"


def of_interval(every: timedelta, zone: ZoneInfo, now: datetime) -> list[str]:
    """For whole days only: nobody expects a time of day of the others."""
    if every % timedelta(days=1):
        return []
    change = next(coming(zone, now, now + AHEAD), None)
    if change is None:
        return []
    shift = "later" if change.is_forward else "earlier"
    return [
        f"{change.words}: from then on it runs {shift} by the clock, because it counts elapsed time. "
        "For a fixed time of day choose “Every day” or “Every week”."
    ]


def of_wall(wall: datetime, zone: ZoneInfo) -> list[str]:
    """For one date and time: what happens if it does not exist, or comes twice."""
    moment = wall_clock.instant(wall, zone)
    local = moment.astimezone(zone).replace(tzinfo=None, fold=0)
    if local != wall:
        return [
            f"{wall:%H:%M} does not exist on {words.plain_date(wall)}: clocks go forward then. "
            f"It runs at {local:%H:%M}."
        ]
    later = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if later > moment:
        return [
            f"{wall:%H:%M} comes twice on {words.plain_date(wall)}, because clocks go back. "
            "It runs the first time only."
        ]
    return []
