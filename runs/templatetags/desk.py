"""Filters that say runs, times and durations in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone

from runs import words
from runs.models import Run
from runs.states import State

register = template.Library()


@register.filter
def relative(moment: datetime | None) -> str:
    """ "in 5 minutes" or "2 hours ago"."""
    return words.relative(moment) if moment else ""


@register.filter
def in_zone(moment: datetime | None, zone: str) -> str:
    """ "Mon 3 Aug 2026, 09:00 CEST"; falls back to UTC for a zone that cannot be read."""
    return "" if moment is None else words.local(moment, zone)


@register.filter
def here(moment: datetime | None) -> str:
    """ "Mon 3 Aug 2026, 09:00 CEST", in the reader's own zone."""
    return "" if moment is None else words.here(moment)


@register.filter
def here_to_the_second(moment: datetime | None) -> str:
    """ "Mon 3 Aug 2026, 09:00:05 CEST", in the reader's own zone."""
    return "" if moment is None else words.here(moment, seconds=True)


@register.filter
def own_clock(moment: datetime | None, zone: str) -> str:
    """ "03:00 EDT": what the clock of the zone shows; empty where the reader's clock shows the same."""
    return "" if moment is None else words.own_clock(moment, zone)


@register.filter
def for_reader(moment: datetime | None, zone: str) -> str:
    """ "09:00 CEST": what the reader's clock shows; empty where the clock of the zone shows the same."""
    return "" if moment is None else words.for_reader(moment, zone)


@register.filter
def both_clocks(moment: datetime | None, zone: str) -> str:
    """ "Mon 3 Aug 2026, 03:00 EDT (09:00 CEST for you)"; only the first where both clocks show the same."""
    return "" if moment is None else words.both_clocks(moment, zone)


@register.filter
def here_near(moment: datetime | None, near: datetime | None) -> str:
    """ "09:00:05 CEST" in the reader's zone; with the day where it is not the day of ``near``."""
    return "" if moment is None else words.here_near(moment, near)


@register.filter
def log_time(moment: datetime, near: datetime | None) -> str:
    """ "09:00:05" in the reader's zone, which the page names once; with the day where it is not the day of ``near``."""
    return words.here_near(moment, near, names_clock=False)


@register.filter
def full_day(moment: date) -> str:
    """ "Monday 3 August"."""
    return words.full_day(moment)


@register.filter
def short_day(moment: date) -> str:
    """ "Mon 3 Aug"."""
    return words.short_day(moment)


@register.filter
def get(values: Mapping[Any, Any], key: Any) -> Any:
    """The value kept under a key; empty when there is none."""
    return values.get(key, "")


@register.filter
def in_thousands(number: int) -> str:
    """ "1,000,000"."""
    return f"{number:,}"


@register.filter
def tone(state: str) -> str:
    """The colour family of a state."""
    return words.tone(state)


@register.filter
def state_word(run: Run) -> str:
    """One word for the run's state."""
    return words.state(run)


@register.filter
def took(run: Run) -> str:
    """How long it ran, or has been running."""
    if run.started_at is None:
        return ""
    return words.duration((run.finished_at or timezone.now()) - run.started_at)


@register.filter
def outcome(run: Run) -> str:
    """The result, or why there is none, in one line."""
    if run.state == State.RUNNING and run.progress_total:
        return f"{run.progress_done:,} of {run.progress_total:,} {run.progress_unit}"
    return run.result or run.error or run.reason_text


@register.filter
def seconds_in_words(seconds: int) -> str:
    """ "1 hour", "90 minutes"."""
    return words.duration(timedelta(seconds=seconds))


@register.filter
def percent(run: Run) -> int:
    """How much of the job is done, from 0 to 100."""
    return min(100, int(100 * run.progress_done / run.progress_total)) if run.progress_total else 0
