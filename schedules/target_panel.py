"""When a newsletter, a report or a cleanup policy runs: its schedules, shown on the page of the thing itself."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import F
from django.urls import NoReverseMatch, reverse

from schedules import kinds
from schedules.kinds import JobKind
from schedules.list_rows import Row, rows_of
from schedules.models import Schedule

LISTED = 10


@dataclass(frozen=True)
class Panel:
    """What the page says about when the thing runs."""

    rows: list[tuple[Schedule, Row]]
    """Its schedules, the one that is due next first."""
    has_more: bool
    offers: list[tuple[str, str]]
    """Word and address of a new schedule's form with this thing chosen, one for each kind of job that runs it."""
    run_once: list[tuple[str, str]]
    """Word and address of the question that starts it now; none for what has schedules, whose own buttons do that."""


def panel(target: models.Model, reader: AbstractBaseUser | AnonymousUser) -> Panel | None:
    """The schedules of a thing, for one person; None for whoever may not see schedules.

    As many queries for ten schedules as for one.
    """
    if not reader.has_perm("schedules.view_schedule"):  # type: ignore[union-attr]
        return None
    found = _kinds_of(target)
    schedules = Schedule.objects.filter(kind__in=[kind.key for kind in found], target_id=target.pk)
    soonest = schedules.order_by(F("next_due_at").asc(nulls_last=True), "pk")
    listed = list(soonest.select_related("periodic_task", "calendar")[: LISTED + 1])
    rows = rows_of(listed[:LISTED], reader)
    return Panel(
        [(schedule, rows[schedule.pk]) for schedule in listed[:LISTED]],
        len(listed) > LISTED,
        offers(target, reader, is_first=not listed),
        [] if listed else _starts(target, reader),
    )


def pages_of(schedule: Schedule) -> tuple[str, ...]:
    """The addresses of the pages of what a schedule runs: its own page first, then the form that changes it."""
    kind = schedule.job_kind
    return () if kind is None else pages_of_target(kind, schedule.target_id)


def pages_of_target(kind: JobKind, target_id: int) -> tuple[str, ...]:
    """The addresses of the pages of a thing that this kind runs: its own page first, then the form that changes it."""
    if not kind.target_model:
        return ()
    name = kind.target_model.lower().replace(".", "_")
    pages = []
    for page in ("detail", "change"):
        try:
            pages.append(reverse(f"admin:{name}_{page}", args=[target_id]))
        except NoReverseMatch:
            continue
    return tuple(pages)


def page_for(reader: AbstractBaseUser | AnonymousUser, schedule: Schedule) -> str:
    """The page of what a schedule runs; empty for whoever may not see that."""
    pages, kind = pages_of(schedule), schedule.job_kind
    if not pages or kind is None:
        return ""
    app, _, model = kind.target_model.lower().partition(".")
    return pages[0] if reader.has_perm(f"{app}.view_{model}") else ""  # type: ignore[union-attr]


def _kinds_of(target: models.Model) -> list[JobKind]:
    return [kind for kind in kinds.schedulable() if kind.target_model.lower() == target._meta.label_lower]


def offers(target: models.Model, reader: AbstractBaseUser | AnonymousUser, *, is_first: bool) -> list[tuple[str, str]]:
    """Word and address of a new schedule's form with this thing chosen, for each kind that runs it and this person may start."""
    if not reader.has_perm("schedules.add_schedule"):  # type: ignore[union-attr]
        return []
    form = reverse("admin:schedules_schedule_add")
    # The first schedule may well be called as the thing itself; a second one needs a name that tells them apart.
    name = {"name": str(target)} if is_first else {}
    allowed = _startable(target, reader)
    return [
        (
            "Add a schedule" if len(allowed) == 1 else f"Add a schedule ({kind.label})",
            f"{form}?{urlencode({'what': f'{kind.key}:{target.pk}', **name})}",
        )
        for kind in allowed
    ]


def _starts(target: models.Model, reader: AbstractBaseUser | AnonymousUser) -> list[tuple[str, str]]:
    if not reader.has_perm("schedules.run_schedule"):  # type: ignore[union-attr]
        return []
    allowed = _startable(target, reader)
    return [
        (
            "Run now" if len(allowed) == 1 else f"Run now ({kind.label})",
            reverse("admin:schedules_schedule_run_once", args=[f"{kind.key}:{target.pk}"]),
        )
        for kind in allowed
    ]


def _startable(target: models.Model, reader: AbstractBaseUser | AnonymousUser) -> list[JobKind]:
    """The kinds that run this thing and that this person may start."""
    return [
        kind
        for kind in _kinds_of(target)
        if not kind.admin_permission or reader.has_perm(kind.admin_permission)  # type: ignore[union-attr]
    ]
