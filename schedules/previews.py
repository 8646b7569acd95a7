"""What a timing means, before it is saved: the sentence, the next runs and what to mind, from the one evaluator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from runs import words
from schedules import cautions, cron, field_values, frequency, kinds, phrases, zones
from schedules.coming import coming
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from schedules.timing_form import TimingForm

COUNT = 6


@dataclass(frozen=True)
class Preview:
    """What the panel beside the form shows."""

    sentence: str = ""
    error: str = ""
    wrong_field: str = ""
    """The form's field that the error belongs to."""
    times: list[datetime] = field(default_factory=list)
    """The next runs in the schedule's own zone."""
    time_zone: str = "UTC"
    notes: Mapping[datetime, str] = field(default_factory=dict)
    """Why one of them will be left out or moved."""
    reading: Mapping[str, Any] = field(default_factory=dict)
    """Form values that the words stand for."""
    how_many: str = ""
    """How often that is in a month."""
    cautions: list[str] = field(default_factory=list)
    """What may surprise, in sentences."""
    before: list[datetime] = field(default_factory=list)
    """On an edit that changes them: the next runs as they are until it is saved."""
    reader_zone: str = ""
    """The reader's own zone, when its clocks differ from the schedule's at one of the times."""
    for_reader: Mapping[datetime, str] = field(default_factory=dict)
    """What the reader's clocks show at each of them then; with the day where it is another."""
    expression: str = ""
    """The pattern that the simple modes say, for whoever goes on with it by hand."""


def preview(
    data: Mapping[str, Any], now: datetime, existing: Schedule | None = None, *, names_others: bool = True
) -> Preview:
    """Reads the form's raw values as far as they go; never raises.

    ``existing`` is the schedule that the form edits. ``names_others`` allows to say which other schedule is in the way.
    """
    form = _timing_form(data, existing)
    zone = str(form.cleaned_data.get("time_zone") or "UTC")
    if messages := form.errors.get("time_zone"):
        return Preview(error=str(messages[0]), wrong_field="time_zone")
    typed = str(data.get("words") or "").strip()
    if typed and data.get("changed") == "words":
        return _for_reader(_read_words(typed, zone, now))
    shown = _read_fields(form, data, zone, now, existing, names_others)
    return _for_reader(shown)


def _timing_form(data: Mapping[str, Any], existing: Schedule | None) -> TimingForm:
    values = data.copy() if hasattr(data, "copy") else dict(data)
    values["words"] = ""  # words are read on their own
    values.setdefault("time_zone", "UTC")
    form = TimingForm(data=values)
    form.instance = existing
    form.is_valid()
    return form


def _read_words(typed: str, zone: str, now: datetime) -> Preview:
    try:
        phrase = phrases.parse(typed, now=now, timezone=zone)
    except (phrases.PhraseError, cron.CronError) as error:
        return Preview(error=str(error), wrong_field="words", time_zone=zone)
    reading = field_values.of_phrase(phrase, zone)
    if phrase.expression:
        times = cron.parse(phrase.expression, zone).upcoming(now, COUNT)
    elif phrase.every is not None:
        times = [now + phrase.every * n for n in range(1, COUNT + 1)]
    else:
        assert phrase.at is not None
        times = [phrase.at]
    return Preview(
        sentence=phrase.words,
        times=_local(times, zone),
        time_zone=zone,
        reading=reading,
        cautions=[phrase.note] if phrase.note else [],
    )


def _read_fields(
    form: TimingForm, data: Mapping[str, Any], zone: str, now: datetime, existing: Schedule | None, names_others: bool
) -> Preview:
    mode = str(data.get("mode") or Schedule.Mode.CRON)
    if not str(data.get(_TIMED_BY.get(mode, "times")) or "").strip():
        return Preview(time_zone=zone)
    for name in form.fields:
        if messages := form.errors.get(name):
            return Preview(error=str(messages[0]), wrong_field=name, time_zone=zone)
    trial = form.trial(form.draft(), now)
    shown = preview_schedule(trial, now)
    if shown.error:
        return replace(shown, wrong_field=_TIMED_BY.get(mode, "times"))
    kind = kinds.find(str(data.get("what") or "").partition(":")[0])
    wall = form.cleaned_data.get("once_at") if mode == "once" else None
    to_mind = cautions.of(trial, shown.times, now, kind=kind, wall=wall, existing=existing, names_others=names_others)
    return replace(
        shown,
        how_many=frequency.in_words(trial, now),
        cautions=to_mind,
        before=_before(existing, shown, now),
        expression=trial.expression,
    )


_TIMED_BY: dict[str, str] = {
    Schedule.Mode.CRON: "expression",
    Schedule.Mode.INTERVAL: "every_amount",
    Schedule.Mode.ONCE: "once_at",
}


def _before(existing: Schedule | None, shown: Preview, now: datetime) -> list[datetime]:
    """The next runs until now, when saving would change them."""
    if existing is None or existing.next_due_at is None:
        return []
    old = preview_schedule(existing, now)
    return old.times if old.times != shown.times else []


def _for_reader(shown: Preview) -> Preview:
    name = timezone.get_current_timezone_name()
    try:
        zone = zones.zone(name)
    except zones.UnknownZone:
        return shown
    moments = [*shown.times, *shown.before]
    own = {moment: moment.astimezone(zone) for moment in moments}
    if all(local.utcoffset() == moment.utcoffset() for moment, local in own.items()):
        return shown
    said = {
        moment: f"{local:%H:%M} {words.clock_name(local)}"
        if local.date() == moment.date()
        else f"{words.short_day(local)}, {local:%H:%M} {words.clock_name(local)}"
        for moment, local in own.items()
    }
    return replace(shown, reader_zone=name, for_reader=said)


def preview_draft(draft: ScheduleDraft, now: datetime) -> Preview:
    """The same for values that are already parsed, of a schedule that would begin now."""
    return preview_schedule(Schedule(anchor_at=now, cursor_at=now, **draft.schedule_values()), now)


def preview_schedule(schedule: Schedule, now: datetime) -> Preview:
    """What an existing schedule goes on to do, up to its end and no more often than it may still run."""
    zone = schedule.time_zone
    try:
        ahead = coming(schedule, now, COUNT)
        if not ahead and schedule.policy().runs_left != 0:
            return Preview(error="It would never run: its time has passed.", time_zone=zone)
        sentence = schedule.timing.describe()
    except cron.CronError as error:
        return Preview(error=str(error), time_zone=zone)
    notes = {one.due_at: str(one.why_not) for one in ahead if one.why_not is not None}
    return Preview(sentence=sentence, times=_local([one.due_at for one in ahead], zone), time_zone=zone, notes=notes)


def _local(times: list[datetime], zone: str) -> list[datetime]:
    return [moment.astimezone(ZoneInfo(zone)) for moment in times]
