"""Schedules as a YAML file by natural names: what there is, how a file differs from it, and bringing the file in.

A file names each schedule, its kind, what it runs and its calendar; no number of this database is in it. A field that a
file leaves out stays as it is, or starts as usual for a new schedule; schedules that it does not name are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from runs import audit
from runs.audit import Actor
from schedules import exchange_values, kinds, services, targets
from schedules.drafts import ScheduleDraft, validate
from schedules.exchange_file import FileEntry, FileError, Problem, read
from schedules.exchange_values import FIELDS, RULES, Names, in_words, pause_fields, said, timing_field
from schedules.models import Schedule

MOST_PROBLEMS = 50


@dataclass(frozen=True)
class Change:
    """What bringing the file in does to one schedule."""

    entry: FileEntry
    existing: Schedule | None
    draft: ScheduleDraft
    fields: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Old and new value in words, by the file's field."""

    @property
    def word(self) -> str:
        return "added" if self.existing is None else "changed" if self.fields else "unchanged"

    @property
    def is_of_pause(self) -> bool:
        return "paused" in self.fields or "paused_until" in self.fields

    @property
    def is_of_draft(self) -> bool:
        return bool(set(self.fields) - {"paused", "paused_until"})


@dataclass(frozen=True)
class Plan:
    """Everything that bringing the file in would do, and what it leaves alone."""

    changes: Sequence[Change]
    left_alone: Sequence[str]


def export_schedules(actor: Actor) -> tuple[list[dict[str, Any]], list[str]]:
    """Every schedule as the values of a file, and in words those that a file cannot hold."""
    audit.require(actor, "schedules.view_schedule", "export the schedules")
    names = Names()
    offered = {kind.key for kind in kinds.schedulable()}
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for schedule in _all():
        target = names.target_name(schedule.kind, schedule.target_id) if schedule.kind in offered else ""
        if schedule.kind not in offered:
            left_out.append(f"“{schedule}” runs a task that was written by hand.")
        elif not target:
            left_out.append(f"“{schedule}”: {targets.GONE}.")
        elif schedule.next_due_at is None and not schedule.is_paused and not schedule.broken_reason:
            left_out.append(f"“{schedule}” has ended.")
        else:
            rows.append(_values(schedule, target, names))
    return rows, left_out


def _values(schedule: Schedule, target: str, names: Names) -> dict[str, Any]:
    """What, when, rules and pause; empty ones are written as well, so that the file says all of it."""
    draft = ScheduleDraft.of(schedule)
    values: dict[str, Any] = {"name": schedule.name, "kind": schedule.kind, "target": target}
    for name in (timing_field(draft), *RULES):
        values[name] = said(draft, name, names)
    values["paused"] = (schedule.pause_reason or "paused") if schedule.is_paused else None
    if schedule.is_paused and schedule.paused_until is not None:
        values["paused_until"] = exchange_values.shown_clock(schedule.paused_until, schedule.time_zone)
    return values


def plan_import(actor: Actor, text: str) -> Plan:
    """What bringing this file in would do; changes nothing.

    Raises:
        FileError: the file, or something in it, cannot be taken; every problem with its line.
        PermissionDenied: the actor may not see schedules.
    """
    audit.require(actor, "schedules.view_schedule", "compare a file with the schedules")
    entries = read(text, FIELDS)
    names = Names()
    existing = {schedule.name: schedule for schedule in _all()}
    changes: list[Change] = []
    problems: list[Problem] = []
    for entry in entries:
        try:
            changes.append(_change(entry, existing.get(entry.name), names))
        except FileError as error:
            problems += error.problems
    if problems:
        raise FileError(problems[:MOST_PROBLEMS])
    in_file = {entry.name for entry in entries}
    return Plan(changes, [name for name in existing if name not in in_file])


def import_schedules(actor: Actor, text: str) -> Plan:
    """Brings the file in, all of it or nothing, through the same services as every other door.

    Raises:
        FileError: as :func:`plan_import`, also for what only the writing itself can see.
        PermissionDenied: the actor may not do one of the things that the file asks for.
    """
    try:
        with transaction.atomic():
            plan = plan_import(actor, text)
            for change in plan.changes:
                _apply(actor, change)
    except audit.Refused as refused:
        audit.keep_refusal(refused)
        raise
    return plan


def _apply(actor: Actor, change: Change) -> None:
    entry, schedule, draft = change.entry, change.existing, change.draft
    try:
        if schedule is None:
            schedule = services.create_schedule(actor, draft)
        elif change.is_of_draft:
            seen = schedule.changed_at
            services.edit_schedule(actor, schedule.pk, draft, reason="from a file", seen_version=seen)
        if change.is_of_pause:
            reason = exchange_values.pause_reason(entry, change.existing)
            if reason is None:
                services.resume_schedule(actor, schedule.pk)
            else:
                until = exchange_values.paused_until(entry, change.existing, draft.time_zone)
                services.pause_schedule(actor, schedule.pk, reason=reason, until=until, replace=True)
    except ValidationError as error:
        raise FileError(exchange_values.problems_of(entry, error)) from error


def _change(entry: FileEntry, existing: Schedule | None, names: Names) -> Change:
    """How this entry differs from what is here. Raises FileError."""
    draft = exchange_values.read_draft(entry, existing, names)
    old = None if existing is None else ScheduleDraft.of(existing)
    if draft != old:  # what stays as it is may be as broken or as over as it was
        try:
            validate(draft, existing)
        except ValidationError as error:
            raise FileError(exchange_values.problems_of(entry, error)) from error
    fields: dict[str, tuple[str, str]] = {}
    for name in ("kind", "target", timing_field(draft), *RULES):
        before, after = None if old is None else said(old, name, names), said(draft, name, names)
        if before != after and (old is not None or name in entry.values):
            fields[name] = (in_words(before), in_words(after))
    if old is not None and timing_field(old) != timing_field(draft):
        fields[timing_field(old)] = (in_words(said(old, timing_field(old), names)), in_words(None))
    return Change(entry, existing, draft, fields | pause_fields(entry, existing, draft.time_zone))


def _all() -> Sequence[Schedule]:
    return list(Schedule.objects.select_related("periodic_task").order_by("periodic_task__name"))
