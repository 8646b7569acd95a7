"""Whose rights a report is made with: its owner's, looked at each time it is made."""

from __future__ import annotations

from reports.datasets import registry
from reports.models import ReportDefinition
from reports.sources import Choices


class NotAllowed(Exception):
    """The owner may not see what the report lists; in words for staff."""


class OwnerGone(NotAllowed):
    """Nobody can put that right but people: no later run will do better."""


def require(definition: ReportDefinition, choices: Choices) -> None:
    """Raises NotAllowed when the owner may not see it, or may no longer sign in; and registry.UnknownDataSet."""
    owner = definition.owner
    if owner is not None and not owner.is_active:
        raise OwnerGone(f"“{owner}”, who answers for this report, can no longer sign in. Choose another owner for it.")
    if choices.query_id is not None:
        return  # it was approved for whoever makes reports
    data_set = registry.get(choices.data_set)
    if not data_set.permission:
        return
    if owner is None:
        raise NotAllowed(
            f"Nobody answers for this report, and not everybody may see “{data_set.label}”. Choose its owner."
        )
    if not owner.has_perm(data_set.permission):
        raise NotAllowed(
            f"“{owner}”, who answers for this report, may no longer see “{data_set.label}”. Choose another owner for it."
        )
