"""The activity log: who changed or tried what in the window."""

from __future__ import annotations

from django.db.models import QuerySet

from reports.datasets.registry import Column, DataSet, Kind
from reports.periods import Window
from runs.models import AuditEntry


def queryset(window: Window) -> QuerySet[AuditEntry]:
    """By the moment at which it was done."""
    return AuditEntry.objects.filter(at__gte=window.start, at__lt=window.end)


ACTIVITY = DataSet(
    key="activity",
    label="Activity log",
    description="One row for each change that somebody made, and for each attempt that was refused.",
    permission="runs.view_auditentry",
    columns=(
        Column("at", "When", Kind.MOMENT, is_group=True),
        Column("who", "Who", source="actor_name", is_group=True),
        Column("action", "What was done", is_group=True),
        Column("kind", "To what kind of thing", source="object_type", is_group=True),
        Column("number", "Number", source="object_id"),
        Column("what", "To what", source="object_label"),
        Column("why", "Why", source="reason"),
        Column("refused", "Refused", Kind.YES_NO, "was_refused", is_group=True),
    ),
    queryset=queryset,
    order=("at",),
)
