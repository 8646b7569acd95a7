"""The values of a file of schedules and those of the database: each read from, and said in the terms of, the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from schedules import kinds, wall_clock, zones
from schedules.drafts import ScheduleDraft, kind_defaults
from schedules.exchange_file import FileEntry, FileError, Problem
from schedules.models import HolidayCalendar, Schedule

NUMBERS = (
    "max_runs", "missed_cap", "start_deadline_seconds", "jitter_seconds", "time_limit_seconds", "retries",
    "retry_delay_seconds", "notify_after", "pause_after",
)  # fmt: skip
_OPTIONAL = {"max_runs", "start_deadline_seconds", "pause_after", "ends", "calendar"}
TIMINGS = ("cron", "every_seconds", "once")
RULES = ("time_zone", "ends", "calendar", "calendar_rule", "missed", "overlap", *NUMBERS)
FIELDS = ("name", "kind", "target", *TIMINGS, *RULES, "paused", "paused_until")
_DRAFT_FIELD = {
    "target": "target_id",
    "cron": "expression",
    "once": "once_at",
    "ends": "ends_at",
    "calendar": "calendar_id",
}
_FILE_FIELD = {column: name for name, column in _DRAFT_FIELD.items()} | {"mode": "cron"}


class Names:
    """Looks targets and calendars up by name, with one query each, however many schedules ask."""

    def __init__(self) -> None:
        self.calendars = dict(HolidayCalendar.objects.values_list("name", "pk"))
        self.calendar_names = {pk: name for name, pk in self.calendars.items()}
        self._targets: dict[str, dict[str, list[int]]] = {}

    def targets(self, kind: str) -> dict[str, list[int]]:
        """The numbers of what this kind can run, by name; two things may have one name."""
        if kind not in self._targets:
            found: dict[str, list[int]] = {}
            for target in kinds.get(kind).targets():
                found.setdefault(str(target), []).append(int(target.pk))
            self._targets[kind] = found
        return self._targets[kind]

    def target_name(self, kind: str, number: int | None) -> str:
        return next((name for name, numbers in self.targets(kind).items() if number in numbers), "")


def timing_field(draft: ScheduleDraft) -> str:
    return {Schedule.Mode.CRON: "cron", Schedule.Mode.INTERVAL: "every_seconds"}.get(Schedule.Mode(draft.mode), "once")


def said(draft: ScheduleDraft, name: str, names: Names) -> Any:
    """A value as the file writes it."""
    value = getattr(draft, _DRAFT_FIELD.get(name, name))
    if name == "target":
        return names.target_name(draft.kind, value)
    if name == "calendar":
        return names.calendar_names.get(value)
    return shown_clock(value, draft.time_zone) if isinstance(value, datetime) else value


def shown_clock(moment: datetime, zone: str) -> str:
    """The moment on the schedule's own clock, with its offset: nobody has to guess which of two two o'clocks it is."""
    try:
        local = moment.astimezone(zones.zone(zone))
    except zones.UnknownZone:
        local = moment
    return local.isoformat(timespec="seconds" if not local.microsecond else "microseconds")


def read_draft(entry: FileEntry, existing: Schedule | None, names: Names) -> ScheduleDraft:
    """The values that the schedule is to have. Raises FileError."""
    problems: list[Problem] = []
    kind = _kind(entry, existing, problems)
    base = (
        ScheduleDraft.of(existing)
        if existing is not None
        else ScheduleDraft(name=entry.name, kind=kind, target_id=None, **kind_defaults(kind))
    )
    values: dict[str, Any] = {"kind": kind}
    if "target" in entry.values or existing is None or kind != base.kind:
        values["target_id"] = _target(entry, kind, names, problems)
    values["time_zone"] = zone = entry.text("time_zone") or base.time_zone
    values |= _timing(entry, existing, zone, problems)
    if "ends" in entry.values:
        values["ends_at"] = _moment(entry, "ends", zone, problems)
    if "calendar" in entry.values:
        values["calendar_id"] = _calendar(entry, names, problems)
    values |= {name: entry.text(name) for name in ("calendar_rule", "missed", "overlap") if entry.text(name)}
    for name in NUMBERS:
        if name in entry.values:
            values[name] = _number(entry, name, problems)
    if "paused_until" in entry.values:
        _moment(entry, "paused_until", zone, problems)
    if problems:
        raise FileError(problems)
    return replace(base, **values)


def _kind(entry: FileEntry, existing: Schedule | None, problems: list[Problem]) -> str:
    key = entry.text("kind") or (existing.kind if existing is not None else "")
    offered = [kind.key for kind in kinds.schedulable()]
    if key not in offered:
        said = f"There is no kind “{key}”." if key else "Say what kind of job it is."
        problems.append(entry.problem("kind", f"{said} There are: {', '.join(offered)}."))
        raise FileError(problems)
    return key


def _target(entry: FileEntry, kind: str, names: Names, problems: list[Problem]) -> int | None:
    known, name = names.targets(kind), entry.text("target")
    numbers = known.get(name, [])
    if len(numbers) == 1:
        return numbers[0]
    if numbers:
        said = f"There are {len(numbers)} of the kind {kind} called “{name}”. Give them different names first."
    else:
        said = f"There is no {kind} “{name}”. There are: {', '.join(f'“{one}”' for one in list(known)[:10]) or 'none yet'}."
    problems.append(entry.problem("target", said))
    return None


def _timing(entry: FileEntry, existing: Schedule | None, zone: str, problems: list[Problem]) -> dict[str, Any]:
    given = [name for name in TIMINGS if entry.text(name)]
    if not given and existing is not None:
        return {}
    if len(given) != 1:
        said = "Say when it runs by one of cron, every_seconds and once" + (", not by several." if given else ".")
        problems.append(entry.problem(given[-1] if given else "name", said))
        return {}
    mode = {"cron": Schedule.Mode.CRON, "every_seconds": Schedule.Mode.INTERVAL, "once": Schedule.Mode.ONCE}[given[0]]
    values: dict[str, Any] = {"mode": mode, "expression": "", "every_seconds": None, "once_at": None}
    if given[0] == "cron":
        values["expression"] = " ".join(entry.text("cron").split())
    elif given[0] == "every_seconds":
        values["every_seconds"] = _number(entry, "every_seconds", problems)
    else:
        values["once_at"] = _moment(entry, "once", zone, problems)
    return values


def _number(entry: FileEntry, name: str, problems: list[Problem]) -> int | None:
    text = entry.text(name)
    if not text and name in _OPTIONAL:
        return None
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    problems.append(entry.problem(name, f"“{text}” is no whole number."))
    return None


def _moment(entry: FileEntry, name: str, zone: str, problems: list[Problem]) -> datetime | None:
    text = entry.text(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if not 1970 <= moment.year < 2200:
            raise ValueError
        return moment if moment.tzinfo else wall_clock.instant(moment, zones.zone(zone))
    except zones.UnknownZone:
        return None  # said at the time zone
    except ValueError:
        problems.append(entry.problem(name, f"“{text}” is no date and time; write for example 2026-12-24T18:00."))
        return None


def _calendar(entry: FileEntry, names: Names, problems: list[Problem]) -> int | None:
    name = entry.text("calendar")
    if name and name not in names.calendars:
        there = ", ".join(f"“{one}”" for one in names.calendars) or "none yet"
        problems.append(entry.problem("calendar", f"There is no calendar “{name}”. There are: {there}."))
    return names.calendars.get(name)


def pause_reason(entry: FileEntry, existing: Schedule | None) -> str | None:
    """Why it is to be paused; None when it is to be active."""
    if "paused" in entry.values:
        return entry.text("paused") or None
    return (existing.pause_reason or "paused") if existing is not None and existing.is_paused else None


def paused_until(entry: FileEntry, existing: Schedule | None, zone: str) -> datetime | None:
    if "paused_until" in entry.values:
        return _moment(entry, "paused_until", zone, [])
    return None if existing is None or "paused" in entry.values else existing.paused_until


def pause_fields(entry: FileEntry, existing: Schedule | None, zone: str) -> dict[str, tuple[str, str]]:
    if "paused" not in entry.values and "paused_until" not in entry.values:
        return {}
    is_paused = existing is not None and existing.is_paused
    before = (existing.pause_reason or "paused") if existing is not None and is_paused else None
    after = pause_reason(entry, existing)
    until_before = existing.paused_until if existing is not None and is_paused else None
    until_after = paused_until(entry, existing, zone) if after else None
    fields = {}
    if before != after:
        fields["paused"] = (in_words(before), in_words(after))
    if until_before != until_after:
        shown = [None if moment is None else shown_clock(moment, zone) for moment in (until_before, until_after)]
        fields["paused_until"] = (in_words(shown[0]), in_words(shown[1]))
    return fields


def problems_of(entry: FileEntry, error: ValidationError) -> list[Problem]:
    if not hasattr(error, "error_dict"):
        return [entry.problem("name", " ".join(error.messages))]
    found = []
    for column, messages in error.message_dict.items():
        name = {"reason": "paused", "until": "paused_until"}.get(column) or _FILE_FIELD.get(column, column)
        found.append(entry.problem(name, " ".join(messages)))
    return found


def in_words(value: Any) -> str:
    return "nothing" if value is None or value == "" else str(value)
