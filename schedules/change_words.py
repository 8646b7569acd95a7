"""What a change to a schedule changed, field by field, in the words of its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from runs import job_kinds, words
from runs.models import AuditEntry
from schedules import cron, kinds
from schedules.models import HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES
from schedules.timing import words_for_duration

_LABELS = {
    "name": "Name", "kind": "Kind of job", "target_id": "What it runs", "mode": "How often", "expression": "When",
    "time_zone": "Time zone", "every_seconds": "Every", "once_at": "Date and time", "ends_at": "Ends on",
    "max_runs": "Ends after", "missed": "If nothing was running", "missed_cap": "At most",
    "start_deadline_seconds": "Must start within", "overlap": "If the previous run has not finished",
    "time_limit_seconds": "Stopped after", "retries": "Tries after an error",
    "retry_delay_seconds": "First wait before trying again", "jitter_seconds": "Start is spread over",
    "calendar_id": "Holidays of", "calendar_rule": "On a holiday", "notify_after": "Tell people after failures",
    "pause_after": "Pause after failures", "paused_at": "Paused since", "paused_until": "Paused until",
    "pause_reason": "Why it is paused", "skip_at": "Skipped run", "next_due_at": "Next run",
}  # fmt: skip
_CHOICES: dict[str, dict[str, str]] = {
    "mode": {str(value): str(label) for value, label in Schedule.Mode.choices},
    "missed": dict(MISSED_CHOICES),
    "overlap": dict(OVERLAP_CHOICES),
    "calendar_rule": dict(CALENDAR_CHOICES),
}
NOTHING = "–"


@dataclass(frozen=True)
class Difference:
    """One field that a change touched."""

    label: str
    before: str
    after: str


def differences(entry: AuditEntry, zone: str) -> list[Difference]:
    """The fields whose values differ, times shown in ``zone``; only those that staff know from the form."""
    before: Mapping[str, Any] = entry.before
    after: Mapping[str, Any] = entry.after
    if not before:  # it was created, or something was noted that has no values of before
        after = {name: value for name, value in after.items() if value not in (None, "", 0, False)}
    elif not after:  # it was deleted
        return []
    return [
        Difference(label, _said(name, before, zone), _said(name, after, zone))
        for name, label in _LABELS.items()
        if name in after and before.get(name) != after[name]
    ]


def _said(name: str, values: Mapping[str, Any], zone: str) -> str:
    value = values.get(name)
    if value in (None, ""):
        return NOTHING
    if name in _CHOICES:
        return _CHOICES[name].get(str(value), str(value))
    if name == "expression":
        return _pattern(str(value), str(values.get("time_zone") or zone))
    if name.endswith("_seconds"):
        return _span(int(value)) if value else NOTHING
    if name == "kind":
        return job_kinds.label(str(value))
    if name == "target_id":
        kind = kinds.find(str(values.get("kind")))
        target = None if kind is None else kind.target(int(value))
        return str(target) if target is not None else f"number {value}, which no longer exists"
    if name == "calendar_id":
        calendar = HolidayCalendar.objects.filter(pk=value).first()
        return str(calendar) if calendar is not None else "a calendar that no longer exists"
    if name.endswith("_at") or name == "paused_until":
        moment = parse_datetime(str(value))
        return words.local(moment, zone) if isinstance(moment, datetime) else str(value)
    return str(value)


def _span(seconds: int) -> str:
    text = words_for_duration(timedelta(seconds=seconds))
    return text if text[0].isdigit() else f"1 {text}"


def _pattern(expression: str, zone: str) -> str:
    try:
        return f"{cron.parse(expression, zone).describe()} ({expression})"
    except (cron.CronError, ValueError):
        return expression
