"""What a report definition is to become, and the one validation that every door goes through."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from django.core.exceptions import ValidationError

from reports.datasets import registry
from reports.models import MAX_RETENTION_DAYS, Period, ReportDefinition
from reports.periods import MAX_DAYS
from runs import names
from schedules import zones

MAX_NAME_LENGTH = 120
MAX_ROW_CAP = 100_000_000


@dataclass(frozen=True)
class ReportDraft:
    """Every value that staff decide about a report."""

    name: str
    data_set: str
    period: str = Period.LAST_WEEK
    last_n: int | None = None
    time_zone: str = "UTC"
    row_cap: int | None = None
    retention_days: int = 90
    notify: tuple[int, ...] = ()
    """Numbers of the users who are told when it is ready."""

    @classmethod
    def of(cls, definition: ReportDefinition) -> ReportDraft:
        """The values that an existing definition has."""
        values = {field.name: getattr(definition, field.name) for field in fields(cls)}
        values["notify"] = tuple(definition.notify.order_by("pk").values_list("pk", flat=True))
        return cls(**values)

    def column_values(self) -> dict[str, Any]:
        """The values stored on the definition's own row."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["notify"]
        return values


def validate(draft: ReportDraft, existing: ReportDefinition | None = None) -> None:
    """Raises ValidationError with a message per field, in plain words."""
    errors: dict[str, str] = {}
    _check_name(draft, existing, errors)
    if draft.data_set not in dict(registry.choices()):
        errors["data_set"] = "Choose what the report lists."
    if draft.period not in Period.values:
        errors["period"] = "Choose which days the report covers."
    elif draft.period == Period.LAST_N_DAYS and (draft.last_n is None or not 1 <= draft.last_n <= MAX_DAYS):
        errors["last_n"] = f"Write how many days, from 1 to {MAX_DAYS:,}."
    try:
        zones.zone(draft.time_zone)
    except zones.UnknownZone as error:
        errors["time_zone"] = str(error)
    if draft.row_cap is not None and not 1 <= draft.row_cap <= MAX_ROW_CAP:
        errors["row_cap"] = f"Write a number from 1 to {MAX_ROW_CAP:,}, or leave it empty for no limit."
    if not 1 <= draft.retention_days <= MAX_RETENTION_DAYS:
        errors["retention_days"] = f"Write how many days files are kept, from 1 to {MAX_RETENTION_DAYS:,}."
    if errors:
        raise ValidationError(errors)


def _check_name(draft: ReportDraft, existing: ReportDefinition | None, errors: dict[str, str]) -> None:
    others = ReportDefinition.objects.all() if existing is None else ReportDefinition.objects.exclude(pk=existing.pk)
    found = names.problem(draft.name, "report", "Deliveries, last week", max_length=MAX_NAME_LENGTH, others=others)
    if found:
        errors["name"] = found
