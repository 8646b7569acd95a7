"""The evaluator against a brute-force walker that knows nothing but zoneinfo and the rule."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedules import cron

EXAMPLES = int(os.environ.get("CRON_EXAMPLES", "6000"))
MINUTE = timedelta(minutes=1)
AROUND = timedelta(hours=14)
ZONES = sorted(name for name in available_timezones() if name not in ("Factory", "localtime"))
LOST_DAY = datetime(2011, 12, 30, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Pattern:
    """An expression together with what it means, so that the oracle need not parse."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_day: bool = False
    counted: frozenset[tuple[int, int]] = frozenset()
    """(weekday, which one in the month), -1 for the last."""

    def matches(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        is_last = self.last_day and (wall + timedelta(days=1)).day == 1
        weekday = wall.isoweekday() % 7
        which = {(weekday, (wall.day + 6) // 7)} | (
            {(weekday, -1)} if (wall + timedelta(days=7)).month != wall.month else set()
        )
        return (wall.day in self.days or is_last) and (weekday in self.weekdays or bool(which & self.counted))


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field's text and its values."""
    everything = st.just(("*", frozenset(range(low, high + 1))))
    numbers = st.integers(low, high)
    single = numbers.map(lambda value: (str(value), frozenset({value})))
    listed = st.sets(numbers, min_size=2, max_size=5).map(
        lambda values: (",".join(str(value) for value in sorted(values)), frozenset(values))
    )
    steps = st.integers(1, high).map(lambda step: (f"*/{step}", frozenset(range(low, high + 1, step))))

    def ranged(pair: tuple[int, int]) -> tuple[str, frozenset[int]]:
        first, last = pair
        values = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        return f"{first}-{last}", frozenset(values)

    def stepped(triple: tuple[int, int, int]) -> tuple[str, frozenset[int]]:
        first, last, step = min(triple[:2]), max(triple[:2]), triple[2]
        return f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))

    return st.one_of(
        everything, single, listed, steps, st.tuples(numbers, numbers).map(ranged),
        st.tuples(numbers, numbers, st.integers(1, high)).map(stepped),
    )  # fmt: skip


NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


# Strategies are checked when they are first drawn from: made once, not for each example.
PLAIN_WEEKDAYS = st.one_of(st.just(("*", frozenset(range(7)))), field(0, 6))
COUNTED_WEEKDAYS = st.sets(st.tuples(st.integers(0, 6), st.sampled_from([1, 2, 3, 4, 5, -1])), min_size=1, max_size=3)
FEW_WEEKDAYS = st.sets(st.integers(0, 6), max_size=2)
MINUTES = field(0, 59)
HOURS = st.one_of(
    field(0, 23), st.sampled_from([("0", frozenset({0})), ("2", frozenset({2})), ("1,2", frozenset({1, 2}))])
)
DAYS = st.one_of(st.just(("*", frozenset(range(1, 32)))), field(1, 31))
MONTHS = st.one_of(st.just(("*", frozenset(range(1, 13)))), field(1, 12))
EITHER = st.booleans()


@st.composite
def weekday_fields(draw: st.DrawFn) -> tuple[str, frozenset[int], frozenset[tuple[int, int]]]:
    """Plain, counted (mon#2), last (5L) or mixed weekdays."""
    if draw(EITHER):
        text, weekdays = draw(PLAIN_WEEKDAYS)
        return text, weekdays, frozenset()
    counted, plain = draw(COUNTED_WEEKDAYS), draw(FEW_WEEKDAYS)
    words = [f"{day}L" if which == -1 else f"{NAMES[day]}#{which}" for day, which in sorted(counted)]
    return ",".join([*map(str, sorted(plain)), *words]), frozenset(plain), frozenset(counted)


WEEKDAYS = weekday_fields()


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    minute, minutes = draw(MINUTES)
    hour, hours = draw(HOURS)
    day, days = draw(DAYS)
    last = draw(EITHER) and day != "*"
    month, months = draw(MONTHS)
    weekday, weekdays, counted = draw(WEEKDAYS)
    if len(days) == 31:
        last = False
    text = f"{minute} {hour} {day}{',L' if last else ''} {month} {weekday}"
    return Pattern(text, minutes, hours, days, months, weekdays, last, counted)


@cache
def changes(zone_name: str) -> tuple[datetime, ...]:
    """Instants near which the zone's clocks change between 2024 and 2028, or one quiet instant."""
    zone = ZoneInfo(zone_name)
    found = []
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    while moment.year < 2028:
        following = moment + timedelta(days=1)
        if moment.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found.append(moment + timedelta(hours=12))
        moment = following
    if zone_name == "Pacific/Apia":
        found.append(LOST_DAY)
    return tuple(found) or (datetime(2026, 2, 28, 12, tzinfo=UTC),)


@lru_cache(maxsize=4096)
def walk(zone_name: str, start: datetime, minutes: int) -> tuple[tuple[datetime, datetime], ...]:
    """(instant, wall clock) for every minute after ``start``."""
    zone = ZoneInfo(zone_name)
    moments = [start + MINUTE * n for n in range(minutes + 1)]
    return tuple((moment, moment.astimezone(zone).replace(tzinfo=None, fold=0)) for moment in moments)


def oracle(pattern: Pattern, zone_name: str, start: datetime, minutes: int) -> list[datetime]:
    """Every due instant in (start, start + minutes], by the rule alone."""
    follows_elapsed_time = pattern.text.startswith("*") or pattern.text.split()[1].startswith("*")
    due: list[datetime] = []
    seen_until = None
    # Six hours earlier, so that a doubled hour that began before the window is known to be the second one.
    for moment, wall in walk(zone_name, start - timedelta(hours=6), minutes + 360):
        if follows_elapsed_time or (seen_until is not None and wall - seen_until == MINUTE):
            is_due = pattern.matches(wall)
            seen_until = wall
        else:
            candidates = []
            if seen_until is None or wall > seen_until:
                first = wall if seen_until is None else seen_until + MINUTE
                candidates = [first + MINUTE * n for n in range(int((wall - first) / MINUTE) + 1)]
                seen_until = wall
            is_due = any(pattern.matches(candidate) for candidate in candidates)
        if is_due and moment > start:
            due.append(moment)
    return due


def check(pattern: Pattern, zone_name: str, change: datetime, minutes: int) -> None:
    start = change - AROUND
    try:
        spec = cron.parse(pattern.text, zone_name)
    except cron.CronError as error:
        assert "never run" in str(error)
        assert oracle(pattern, zone_name, start, minutes) == []
        return
    assert spec.between(start, start + MINUTE * minutes, 10_000) == oracle(pattern, zone_name, start, minutes)


FAST = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize="CRON_EXAMPLES" not in os.environ)


@settings(FAST, max_examples=EXAMPLES)
@given(patterns(), st.sampled_from(ZONES), st.integers(0, 50))
def test_it_agrees_with_the_walker_around_clock_changes(pattern: Pattern, zone_name: str, which: int) -> None:
    near = changes(zone_name)
    check(pattern, zone_name, near[which % len(near)], 28 * 60)


TRICKY = [
    "America/New_York", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo",
    "Africa/Casablanca", "America/Santiago", "Atlantic/Azores", "Pacific/Apia", "Pacific/Chatham", "America/Nuuk",
    "Europe/Chisinau", "Asia/Beirut", "America/Havana", "Asia/Gaza",
]  # fmt: skip


@settings(FAST, max_examples=EXAMPLES * 2 // 3)
@given(patterns(), st.sampled_from(TRICKY), st.integers(0, 50))
def test_it_agrees_in_the_zones_with_the_oddest_rules(pattern: Pattern, zone_name: str, which: int) -> None:
    near = changes(zone_name)
    check(pattern, zone_name, near[which % len(near)], 28 * 60)


@settings(FAST, max_examples=EXAMPLES // 12)
@given(
    patterns(), st.sampled_from(TRICKY), st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)), st.integers(1, 40)
)
def test_stepping_one_by_one_is_the_same_as_asking_for_many(
    pattern: Pattern, zone_name: str, start: datetime, count: int
) -> None:
    try:
        spec = cron.parse(pattern.text, zone_name)
    except cron.CronError:
        return
    after = start.replace(tzinfo=UTC)
    many = spec.upcoming(after, count)
    assert many == sorted(set(many)) and all(moment > after for moment in many)
    for expected in many:
        cron._parse.cache_clear()  # a fresh spec remembers nothing
        assert cron.parse(pattern.text, zone_name).upcoming(after, 1) == [expected]
        after = expected
