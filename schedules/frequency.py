"""Pure: how often a schedule runs in a month, in words."""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules import cron
from schedules.models import Schedule
from schedules.zones import zone

YEAR = 365


def in_words(schedule: Schedule, now: datetime) -> str:
    """ "About 4 runs a month", "About 2 runs a year"; one that ends is not looked at any closer."""
    if schedule.mode == Schedule.Mode.ONCE:
        return "One run"
    a_year = per_year(schedule, now)
    if a_year >= 2 * 12:
        return f"About {round(a_year / 12):,} runs a month"
    if a_year > 13:
        return "About 1 or 2 runs a month"
    if a_year >= 11:
        return "About 1 run a month"
    return (
        f"About {a_year:.0f} run{'' if round(a_year) == 1 else 's'} a year" if a_year >= 1 else "Less than once a year"
    )


def per_year(schedule: Schedule, now: datetime) -> float:
    """Runs in the year that begins now, before holidays and pauses."""
    if schedule.mode == Schedule.Mode.INTERVAL:
        return timedelta(days=YEAR) / timedelta(seconds=schedule.every_seconds or YEAR * 86400)
    fields = cron.parse(schedule.expression, schedule.time_zone).fields
    today = now.astimezone(zone(schedule.time_zone)).date()
    days = sum(cron.matches_date(fields, today + timedelta(days=ahead)) for ahead in range(YEAR))
    return float(days * len(fields.minutes) * len(fields.hours))


def busiest_hour(schedule: Schedule) -> int:
    """The most runs within one hour of the clock."""
    if schedule.mode == Schedule.Mode.INTERVAL:
        return max(1, 3600 // (schedule.every_seconds or 3600))
    if schedule.mode == Schedule.Mode.ONCE:
        return 1
    return len(cron.parse(schedule.expression, schedule.time_zone).fields.minutes)
