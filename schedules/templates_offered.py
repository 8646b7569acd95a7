"""Three schedules to start from, for whoever faces an empty list: a title, a sentence, and the form filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from runs.audit import Actor
from schedules import field_values, kinds
from schedules.kinds import JobKind


@dataclass(frozen=True)
class Template:
    """One start."""

    key: str
    title: str
    sentence: str
    kind: str
    expression: str

    @property
    def icon(self) -> str:
        """The sign of its kind."""
        return kinds.get(self.kind).icon

    @property
    def url(self) -> str:
        """The form, filled in with it."""
        return f"{reverse('admin:schedules_schedule_add')}?template={self.key}"


_ALL = (
    Template(
        "weekly-newsletter", "Weekly newsletter",
        "Sends a newsletter every Monday at 09:00. If it cannot start within half an hour, it waits for you instead.",
        "newsletter", "0 9 * * 1",
    ),
    Template(
        "monthly-report", "Monthly report",
        "Makes a report on the first day of every month at 07:00, before anybody asks for it.",
        "report", "0 7 1 * *",
    ),
    Template(
        "nightly-cleanup", "Nightly cleanup",
        "Removes what is no longer needed every night at 03:30, when nobody is waiting for the database.",
        "cleanup", "30 3 * * *",
    ),
)  # fmt: skip


def offered(actor: Actor) -> list[Template]:
    """Those that this person may use."""
    return [template for template in _ALL if _may(actor, kinds.find(template.kind))]


def find(actor: Actor, key: str) -> Template | None:
    """The one with this key, if this person may use it."""
    return next((template for template in offered(actor) if template.key == key), None)


def field_values_of(template: Template) -> dict[str, Any]:
    """What the form starts with: its timing, and what it runs where there is one such thing only."""
    kind = kinds.get(template.kind)
    targets = list(kind.targets()[:2])
    values = {"name": template.title, **field_values.of_pattern(template.expression)}
    if len(targets) == 1:
        values["what"] = f"{kind.key}:{targets[0].pk}"
    return values


def _may(actor: Actor, kind: JobKind | None) -> bool:
    if kind is None or not kind.is_offered or not kind.is_schedulable:
        return False
    if actor is None:
        return True
    wanted = [permission for permission in ("schedules.add_schedule", kind.admin_permission) if permission]
    return all(actor.has_perm(permission) for permission in wanted)  # type: ignore[union-attr]
