"""What a report definition is to become: every value that staff decide. What is checked of it is in draft_checks.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any

from reports.models import Condition, OnCap, Period, ReportDefinition

_OF_OTHER_TABLES = ("notify", "recipient_users", "recipient_groups", "recipient_addresses")
MADE_OF = (
    "data_set", "query_id", "selection", "parameters", "period", "last_n", "fixed_first", "fixed_last", "time_zone",
    "formats", "is_for_machines", "row_cap", "on_cap", "compares",
)  # fmt: skip
"""The values that decide what is made; another one of these makes another version."""
COMPARED_BY = ("condition", "threshold_of", "threshold_is", "threshold", "rearm", "data_set", "query_id", "selection")
"""The values that a limit is watched by; another one of these, and the watch begins anew."""


@dataclass(frozen=True)
class ReportDraft:
    """Every value that staff decide about a report."""

    name: str
    data_set: str = ""
    query_id: int | None = None
    """An approved query; then there is no data set."""
    selection: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    period: str = Period.LAST_WEEK
    last_n: int | None = None
    fixed_first: date | None = None
    fixed_last: date | None = None
    time_zone: str = "UTC"
    formats: tuple[str, ...] = ()
    is_for_machines: bool = False
    row_cap: int | None = None
    on_cap: str = OnCap.INCOMPLETE
    compares: bool = False
    condition: str = Condition.ALWAYS
    threshold_of: str = ""
    threshold_is: str = ""
    threshold: Decimal | None = None
    rearm: Decimal | None = None
    attach_up_to_mb: int = 0
    retention_days: int = 90
    keep_last: int = 1
    owner_id: int | None = None
    """Whoever answers for it; None leaves that as it is, and a new report is its maker's."""
    notify: tuple[int, ...] = ()
    """Numbers of the users who are told when it is ready."""
    recipient_users: tuple[int, ...] = ()
    """Numbers of the users who get it by mail."""
    recipient_groups: tuple[int, ...] = ()
    """Numbers of the groups whose members get it by mail."""
    recipient_addresses: tuple[str, ...] = ()
    """Addresses outside that get it by mail, without those that asked for no more."""

    @classmethod
    def of(cls, definition: ReportDefinition) -> ReportDraft:
        """The values that an existing definition has."""
        values = {one.name: getattr(definition, one.name) for one in fields(cls) if one.name not in _OF_OTHER_TABLES}
        values["formats"] = tuple(values["formats"]) if isinstance(values["formats"], list) else ()
        recipients = list(definition.recipients.order_by("pk"))
        return cls(
            **values,
            notify=tuple(definition.notify.order_by("pk").values_list("pk", flat=True)),
            recipient_users=tuple(one.user_id for one in recipients if one.user_id is not None),
            recipient_groups=tuple(one.group_id for one in recipients if one.group_id is not None),
            recipient_addresses=tuple(one.address for one in recipients if one.address and one.unsubscribed_at is None),
        )

    def column_values(self) -> dict[str, Any]:
        """The values stored on the definition's own row."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _OF_OTHER_TABLES}
        values |= {
            "formats": list(self.formats),
            "selection": dict(self.selection),
            "parameters": dict(self.parameters),
        }
        if self.owner_id is None:
            del values["owner_id"]
        return values

    def facts(self) -> dict[str, Any]:
        """Everything, for the audit trail."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
