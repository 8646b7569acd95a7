"""What a preview says: frozen facts, and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cleanup.models import CleanupPreview

SAMPLES = 20
SECONDS = 3.0
"""So long a preview may take for all of its targets; what is not counted by then is estimated, and says so."""


@dataclass(frozen=True)
class TableCount:
    """The rows of one table that a cleaning touches."""

    label: str
    """The model: "runs.RunEvent"."""
    name: str
    """In words: "run events"."""
    action: str
    """delete | unlink | remove (by a function of its own)"""
    rows: int | None
    """None where it was not counted."""
    is_estimate: bool = False


@dataclass(frozen=True)
class Bucket:
    """The rows of one span of ages, oldest span first."""

    label: str
    """ "older than a year", "31 to 60 days"."""
    rows: int


@dataclass(frozen=True)
class Finding:
    """What a policy finds for one target."""

    key: str
    label: str
    count: int
    """Rows of the target itself that would go now; holds and what is kept of each group are taken off."""
    held: int
    hold_words: tuple[str, ...]
    """Each hold that bites, in words: why, by whom, until when."""
    kept: int
    """Old enough, but among the last so many of their group."""
    tables: tuple[TableCount, ...]
    """Its own table first, then what goes with it."""
    buckets: tuple[Bucket, ...]
    oldest: datetime | None
    newest: datetime | None
    samples: tuple[str, ...]
    files: int
    file_bytes: int
    table_rows: int
    """How many rows the table has, an estimate on large ones."""
    batches: int
    seconds: float
    """How long it will take, by the speed of earlier runs, else by experience."""
    is_estimate: bool = False
    """The count itself is one, because counting took too long."""
    notes: tuple[str, ...] = ()
    """What else staff should know of it, each a sentence."""


@dataclass(frozen=True)
class Plan:
    """What a policy would delete at one moment."""

    cutoff: datetime
    findings: tuple[Finding, ...]

    @property
    def total(self) -> int:
        """Rows of the targets themselves."""
        return sum(finding.count for finding in self.findings)

    @property
    def is_estimate(self) -> bool:
        return any(finding.is_estimate for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """{target key: rows}"""
        return {finding.key: finding.count for finding in self.findings}

    def as_json(self) -> list[dict[str, Any]]:
        """The findings as CleanupPreview stores them; moments are ISO texts."""
        return [
            {
                **asdict(finding),
                "oldest": finding.oldest.isoformat() if finding.oldest else "",
                "newest": finding.newest.isoformat() if finding.newest else "",
            }
            for finding in self.findings
        ]


def of_preview(preview: CleanupPreview) -> Plan:
    """What :meth:`Plan.as_json` wrote; what an older version did not write yet is empty.

    The cutoff is not stored: in its place stands the moment when the preview was made.
    """
    return Plan(preview.created_at, tuple(_finding(stored) for stored in preview.findings))


def _finding(stored: Mapping[str, Any]) -> Finding:
    values = {name: stored.get(name, default) for name, default in _UNKNOWN.items()}
    values["key"] = stored.get("key") or stored.get("target", "")
    values["tables"] = tuple(TableCount(**one) for one in stored.get("tables", ()))
    values["buckets"] = tuple(Bucket(**one) for one in stored.get("buckets", ()))
    for name in ("samples", "hold_words", "notes"):
        values[name] = tuple(stored.get(name, ()))
    for name in ("oldest", "newest"):
        try:
            values[name] = datetime.fromisoformat(stored[name]) if stored.get(name) else None
        except ValueError:  # an older version wrote words
            values[name] = None
    return Finding(**values)


_UNKNOWN: dict[str, Any] = {
    "label": "", "count": 0, "held": 0, "kept": 0, "files": 0, "file_bytes": 0, "table_rows": 0, "batches": 0, "seconds": 0.0,
    "is_estimate": False,
}  # fmt: skip
