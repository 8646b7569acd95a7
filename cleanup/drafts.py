"""What a policy is to become: every value that staff decide. What is checked of it is in policy_checks.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cleanup.models import Archiving, CleanupPolicy


@dataclass(frozen=True)
class PolicyDraft:
    """Every value that staff decide about a policy; the defaults suit nearly everybody."""

    name: str
    targets: tuple[str, ...] = ()
    days: int | None = None
    filters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By target, then by the filter's name: only what was chosen."""
    keep_last: int | None = None
    batch_size: int = 10_000
    max_rows: int | None = 100_000
    max_minutes: int | None = 30
    rest_ms: int | None = 200
    archive: str = Archiving.NONE
    archive_days: int | None = 90
    approve_above_rows: int | None = 10_000
    approve_above_percent: int | None = 50
    approve_above_times: int = 10
    owner_id: int | None = None
    """Whoever answers for it; None leaves that as it is, and a new policy is its maker's."""

    @classmethod
    def of(cls, policy: CleanupPolicy) -> PolicyDraft:
        """The values that an existing policy has."""
        values = {one.name: getattr(policy, one.name) for one in fields(cls)}
        return cls(**{**values, "targets": tuple(policy.targets)})

    def column_values(self) -> dict[str, Any]:
        """The values as the policy's row holds them."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values |= {"targets": list(self.targets), "filters": {key: dict(one) for key, one in self.filters.items()}}
        if self.owner_id is None:
            del values["owner_id"]
        return values

    def put_on(self, policy: CleanupPolicy) -> CleanupPolicy:
        """Writes the values on the policy, which is not saved by it."""
        for name, value in self.column_values().items():
            setattr(policy, name, value)
        return policy

    def facts(self) -> dict[str, Any]:
        """Everything, for the audit trail."""
        return self.column_values()
