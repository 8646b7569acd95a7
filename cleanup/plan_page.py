"""What a preview found, ready for a page: the same for one that was stored and for the live one of the form. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runs import words


@dataclass(frozen=True)
class Bar:
    """One line of a chart."""

    label: str
    rows: int
    percent: str
    """Its length in hundredths of the longest."""


@dataclass(frozen=True)
class Table:
    """What happens in one table."""

    label: str
    rows: int | None
    """None where nobody counted them."""
    is_unlinked: bool
    """These rows stay, and only forget the rows that go."""
    is_estimate: bool


@dataclass(frozen=True)
class FindingShown:
    """What was found for one target."""

    key: str
    label: str
    count: int
    is_estimate: bool
    tables: Sequence[Table]
    buckets: Sequence[Bar]
    oldest: datetime | None
    newest: datetime | None
    samples: Sequence[str]
    held: int
    hold_words: Sequence[str]
    kept: int
    """Rows that are old enough and stay all the same, because they are the newest of their group."""
    files: int
    file_bytes: int
    batches: int
    seconds: float
    share: str
    """ "12 % of all 10,000"; empty where nobody counted them."""


@dataclass(frozen=True)
class PlanShown:
    """All of it."""

    findings: Sequence[FindingShown]

    @property
    def total(self) -> int:
        return sum(one.count for one in self.findings)

    @property
    def is_estimate(self) -> bool:
        return any(one.is_estimate for one in self.findings)

    @property
    def rows_words(self) -> str:
        """ "1,204 rows"; "about 1,204 rows"."""
        return f"{'about ' if self.is_estimate else ''}{words.counted(self.total, 'row')}"

    @property
    def tables(self) -> list[Table]:
        """Over all targets, in their order, those that are deleted first."""
        found: dict[tuple[str, bool], Table] = {}
        for finding in self.findings:
            for one in finding.tables:
                before = found.get((one.label, one.is_unlinked))
                rows = one.rows if before is None else _sum(one.rows, before.rows)
                is_estimate = one.is_estimate or bool(before and before.is_estimate)
                found[one.label, one.is_unlinked] = Table(one.label, rows, one.is_unlinked, is_estimate)
        return sorted(found.values(), key=lambda one: one.is_unlinked)

    @property
    def took(self) -> str:
        """How long a run takes, in words."""
        return took_words(sum(one.seconds for one in self.findings))

    @property
    def batches(self) -> int:
        return sum(one.batches for one in self.findings)

    @property
    def held(self) -> int:
        return sum(one.held for one in self.findings)

    @property
    def files(self) -> int:
        return sum(one.files for one in self.findings)

    @property
    def file_bytes(self) -> int:
        return sum(one.file_bytes for one in self.findings)


def shown(findings: Sequence[Mapping[str, Any]]) -> PlanShown:
    """The findings of a preview as they are stored, also those of an older Almanac that lack some facts."""
    return PlanShown([_finding(one) for one in findings])


def took_words(seconds: float) -> str:
    """ "under a second", "about 4 minutes"."""
    return "under a second" if seconds < 1 else f"about {words.duration(timedelta(seconds=seconds))}"


def bars(pairs: Sequence[tuple[str, int]]) -> list[Bar]:
    """Each as long as its share of the longest."""
    most = max((rows for _, rows in pairs), default=0) or 1
    return [Bar(label, rows, f"{100 * rows / most:.2f}") for label, rows in pairs]


def _finding(one: Mapping[str, Any]) -> FindingShown:
    count = int(one.get("count", 0))
    tables = [
        Table(
            str(table.get("name") or table["label"]),
            table.get("rows"),
            table.get("action") == "unlink",
            bool(table.get("is_estimate")),
        )
        for table in one.get("tables") or ()
    ]
    return FindingShown(
        key=str(one.get("key") or one.get("target", "")),
        label=str(one.get("label", "")),
        count=count,
        is_estimate=bool(one.get("is_estimate")),
        tables=tables or [Table(str(one.get("label", "")), count, False, False)],
        buckets=bars([(str(span["label"]), int(span["rows"])) for span in one.get("buckets") or ()]),
        oldest=_moment(one.get("oldest")),
        newest=_moment(one.get("newest")),
        samples=[str(sample) for sample in one.get("samples") or ()],
        held=int(one.get("held") or 0),
        hold_words=[str(hold) for hold in one.get("hold_words") or ()],
        kept=int(one.get("kept") or 0),
        files=int(one.get("files") or 0),
        file_bytes=int(one.get("file_bytes") or 0),
        batches=int(one.get("batches") or 0),
        seconds=float(one.get("seconds") or 0),
        share=_share(count, one.get("table_rows")),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _share(count: int, all_rows: Any) -> str:
    if not all_rows or not count:
        return ""
    percent = 100 * count / int(all_rows)
    said = "under 1" if percent < 1 else f"{round(percent)}" if count >= int(all_rows) else f"{min(99, round(percent))}"
    return f"{said} % of all {int(all_rows):,}"


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
