"""What a timing means, before it is saved: the sentence and the next runs, from the one evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from schedules import cron, phrases, zones
from schedules.drafts import ScheduleDraft
from schedules.forms import ScheduleForm, amount_and_unit
from schedules.models import Schedule

COUNT = 6


@dataclass(frozen=True)
class Preview:
    """What the panel beside the form shows."""

    sentence: str = ""
    error: str = ""
    times: list[datetime] = field(default_factory=list)
    """The next runs in the schedule's own zone."""
    time_zone: str = "UTC"
    notes: Mapping[datetime, str] = field(default_factory=dict)
    """Why one of them will be left out or moved."""
    reading: Mapping[str, str] = field(default_factory=dict)
    """Form values that the words stand for."""


def preview(data: Mapping[str, str], now: datetime) -> Preview:
    """Reads the form's raw values as far as they go; never raises."""
    words = (data.get("words") or "").strip()
    zone = (data.get("time_zone") or "UTC").strip()
    try:
        zones.zone(zone)
    except zones.UnknownZone as error:
        return Preview(error=str(error))
    if words and data.get("changed") == "words":
        return _read_words(words, zone, now)
    return _read_fields(data, zone, now)


def _read_words(words: str, zone: str, now: datetime) -> Preview:
    try:
        phrase = phrases.parse(words, now=now, timezone=zone)
    except phrases.PhraseError as error:
        return Preview(error=str(error), time_zone=zone)
    reading: dict[str, str]
    if phrase.expression:
        reading = {"mode": Schedule.Mode.CRON, "expression": phrase.expression}
        times = cron.parse(phrase.expression, zone).upcoming(now, COUNT)
    elif phrase.every is not None:
        amount, unit = amount_and_unit(int(phrase.every.total_seconds()))
        reading = {"mode": Schedule.Mode.INTERVAL, "every_amount": str(amount), "every_unit": unit}
        times = [now + phrase.every * n for n in range(1, COUNT + 1)]
    else:
        assert phrase.at is not None
        local = phrase.at.astimezone(ZoneInfo(zone))
        reading = {"mode": Schedule.Mode.ONCE, "once_at": f"{local:%Y-%m-%dT%H:%M}"}
        times = [phrase.at]
    return Preview(sentence=phrase.words, times=_local(times, zone), time_zone=zone, reading=reading)


def _read_fields(data: Mapping[str, str], zone: str, now: datetime) -> Preview:
    form = ScheduleForm(data=data)
    form.is_valid()
    mode = data.get("mode") or Schedule.Mode.CRON
    timed_by = _TIMED_BY.get(mode, "expression")
    if not (data.get(timed_by) or "").strip():
        return Preview(time_zone=zone)
    for name in (timed_by, "ends_at"):
        if messages := form.errors.get(name):
            return Preview(error=str(messages[0]), time_zone=zone)
    return preview_draft(form.draft(), now)


_TIMED_BY: dict[str, str] = {
    Schedule.Mode.CRON: "expression",
    Schedule.Mode.INTERVAL: "every_amount",
    Schedule.Mode.ONCE: "once_at",
}


def preview_draft(draft: ScheduleDraft, now: datetime) -> Preview:
    """The same for values that are already parsed, of a schedule that would begin now."""
    return preview_schedule(Schedule(anchor_at=now, cursor_at=now, **draft.schedule_values()), now)


def preview_schedule(schedule: Schedule, now: datetime) -> Preview:
    """What an existing schedule goes on to do, up to its end and no more often than it may still run."""
    zone, ends_at = schedule.time_zone, schedule.ends_at
    try:
        timing = schedule.timing
        times = [moment for moment in timing.upcoming(now, COUNT) if ends_at is None or moment <= ends_at]
    except cron.CronError as error:
        return Preview(error=str(error), time_zone=zone)
    if not times:
        return Preview(error="It would never run: its time has passed.", time_zone=zone)
    left = COUNT if schedule.max_runs is None else schedule.max_runs - schedule.planned_count
    notes = {moment: why for moment in times if (why := schedule.why_day_off(moment))}
    return Preview(sentence=timing.describe(), times=_local(times, zone)[:left], time_zone=zone, notes=notes)


def _local(times: list[datetime], zone: str) -> list[datetime]:
    return [moment.astimezone(ZoneInfo(zone)) for moment in times]
