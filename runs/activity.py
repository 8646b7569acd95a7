"""Finds entries of the activity log, and hands them out as a file.

The table grows for ever and only its number is indexed for time: entries are written in the order of their time, so a
date is found by halving. What no index answers is looked for in a bounded number of entries, the newest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from runs import audit, csv_lines
from runs.audit import Actor
from runs.models import AuditEntry

PERMISSION = "runs.view_auditentry"
LOOKED_THROUGH = 200_000
"""Entries that one search goes through; with dates it starts at the last of them."""
MOST_ROWS = 100_000
"""Rows of one file."""
_LATELY = 5000
_SLACK = timedelta(minutes=10)
"""Processes with other clocks and long transactions write a little out of order."""
COLUMNS = ("When", "Who", "Did", "Refused", "Type", "Number", "What", "Why", "Before", "After")


@dataclass(frozen=True)
class Wanted:
    """What somebody looks for; empty values look for everything."""

    text: str = ""
    actor_id: int | None = None
    is_system: bool = False
    """Only what Almanac did by itself."""
    action: str = ""
    object_type: str = ""
    is_refused: bool | None = None
    since: date | None = None
    until: date | None = None

    @property
    def is_everything(self) -> bool:
        return self == Wanted()


@dataclass(frozen=True)
class Found:
    """The entries, newest first."""

    entries: QuerySet[AuditEntry]
    is_cut: bool = False
    """Whether older entries exist that were not looked through."""


def find(wanted: Wanted) -> Found:
    """The entries that fit; a search goes through at most :data:`LOOKED_THROUGH` of them."""
    entries = AuditEntry.objects.order_by("-id")
    if wanted.is_everything:
        return Found(entries)
    first, last = _numbers(wanted)
    lowest = max(first, last - LOOKED_THROUGH + 1)
    entries = entries.filter(id__gte=lowest, id__lte=last)
    if wanted.since:
        entries = entries.filter(at__gte=_midnight(wanted.since))
    if wanted.until:
        entries = entries.filter(at__lt=_midnight(wanted.until + timedelta(days=1)))
    is_cut = lowest > first and AuditEntry.objects.filter(id__gte=first, id__lt=lowest).exists()
    return Found(entries.filter(_condition(wanted)), is_cut)


def _condition(wanted: Wanted) -> Q:
    condition = Q()
    if wanted.actor_id is not None:
        condition &= Q(actor_id=wanted.actor_id)
    if wanted.is_system:
        condition &= Q(actor_id=None, actor_name="")
    if wanted.action:
        condition &= Q(action=wanted.action)
    if wanted.object_type:
        condition &= Q(object_type=wanted.object_type)
    if wanted.is_refused is not None:
        condition &= Q(was_refused=wanted.is_refused)
    for word in wanted.text.split()[:5]:
        condition &= (
            Q(actor_name__icontains=word) | Q(object_label__icontains=word) | Q(action__icontains=word)
            | Q(reason__icontains=word)
        )  # fmt: skip
    return condition


def _numbers(wanted: Wanted) -> tuple[int, int]:
    """The lowest and the highest number between the dates."""
    newest = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    first = _first_from(_midnight(wanted.since) - _SLACK, newest) if wanted.since else 1
    last = _first_from(_midnight(wanted.until + timedelta(days=1)) + _SLACK, newest) if wanted.until else newest
    return first, last


def _first_from(moment: datetime, newest: int) -> int:
    """The number of the first entry at or after the moment, found by halving: some twenty probes of the key."""
    low, high = 1, newest + 1
    while low < high:
        middle = (low + high) // 2
        probe = AuditEntry.objects.filter(id__gte=middle).order_by("id").values_list("id", "at").first()
        if probe is None or probe[1] >= moment:
            high = middle
        else:
            low = probe[0] + 1
    return low


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def actions() -> list[str]:
    """What people did lately, to choose from."""
    return _lately("action")


def object_types() -> list[str]:
    """What they did it to lately, to choose from."""
    return [value for value in _lately("object_type") if value]


def _lately(field: str) -> list[str]:
    # Told apart here: asked for the different ones, SQLite would walk through the index of all entries ever written.
    recent = AuditEntry.objects.order_by("-id").values_list(field, flat=True)[:_LATELY]
    return sorted({str(value) for value in recent})[:200]


def export_entries(actor: Actor, wanted: Wanted) -> Iterator[str]:
    """The entries of a stretch of days as lines of CSV, newest first; that somebody took them is an entry as well.

    Days and times are those of the reader's time zone; each time names its distance from UTC.

    Raises:
        ValidationError: a date is missing, or there are more than :data:`MOST_ROWS` entries.
        PermissionDenied: the actor may not see the log.
    """
    audit.require(actor, PERMISSION, "export the activity log")
    errors = {}
    if wanted.since is None:
        errors["since"] = "Choose the first day."
    if wanted.until is None:
        errors["until"] = "Choose the last day."
    if errors:
        raise ValidationError(errors)
    assert wanted.since is not None and wanted.until is not None
    if wanted.since > wanted.until:
        raise ValidationError({"until": "The last day lies before the first."})
    found = find(wanted)
    if found.is_cut or found.entries[MOST_ROWS : MOST_ROWS + 1].exists():
        raise ValidationError({"since": f"That is more than {MOST_ROWS:,} entries. Choose fewer days."})
    # The entry about this very file must not become a line of it.
    newest = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first() or 0
    facts = {"since": wanted.since, "until": wanted.until, "search": wanted.text, "action": wanted.action}
    audit.record(actor, "exported the activity log", None, after={key: value for key, value in facts.items() if value})
    zone, entries = timezone.get_current_timezone(), found.entries.filter(id__lte=newest)
    return csv_lines.lines(COLUMNS, (_cells(entry, zone) for entry in entries.iterator(chunk_size=2000)))


def _cells(entry: AuditEntry, zone: tzinfo) -> tuple[str, ...]:
    return (
        entry.at.astimezone(zone).isoformat(), entry.actor_name or "Almanac", entry.action, "yes" if entry.was_refused else "",
        entry.object_type, entry.object_id, entry.object_label, entry.reason, _as_text(entry.before),
        _as_text(entry.after),
    )  # fmt: skip


def _as_text(values: dict[str, Any]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in values.items() if value not in (None, ""))
