"""What a preview found, ready for a page: the same for one that was stored and for the live one of the form. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cleanup.findings import Finding, Plan
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
    notes: Sequence[str]


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
    def why_nothing(self) -> str:
        """Why no row would go: "2 rows are old enough, and held"."""
        if self.held:
            return f"{words.counted(self.held, 'row')} {'is' if self.held == 1 else 'are'} old enough, and held"
        if any(one.kept for one in self.findings):
            return "what is old enough is the newest of its group, and stays"
        return "no row is old enough"

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
        """How long deleting all of it takes, in words; a run that stops at its limit takes less."""
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


def shown(plan: Plan) -> PlanShown:
    """A plan, counted just now or read from a preview."""
    return PlanShown([_finding(one) for one in plan.findings])


def took_words(seconds: float) -> str:
    """ "under a second", "about 4 minutes"."""
    return "under a second" if seconds < 1 else f"about {words.duration(timedelta(seconds=seconds))}"


def bars(pairs: Sequence[tuple[str, int]]) -> list[Bar]:
    """Each as long as its share of the longest."""
    most = max((rows for _, rows in pairs), default=0) or 1
    return [Bar(label, rows, f"{100 * rows / most:.2f}") for label, rows in pairs]


def _finding(one: Finding) -> FindingShown:
    tables = [Table(table.name, table.rows, table.action == "unlink", table.is_estimate) for table in one.tables]
    return FindingShown(
        key=one.key,
        label=one.label,
        count=one.count,
        is_estimate=one.is_estimate,
        tables=tables or [Table(one.label, one.count, False, False)],
        buckets=bars([(span.label, span.rows) for span in one.buckets]),
        oldest=one.oldest,
        newest=one.newest,
        samples=one.samples,
        held=one.held,
        hold_words=one.hold_words,
        kept=one.kept,
        files=one.files,
        file_bytes=one.file_bytes,
        batches=one.batches,
        seconds=one.seconds,
        share=_share(one.count, one.table_rows),
        notes=one.notes,
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _share(count: int, all_rows: int) -> str:
    if not all_rows or not count:
        return ""
    percent = 100 * count / all_rows
    said = "under 1" if percent < 1 else f"{round(percent)}" if count >= all_rows else f"{min(99, round(percent))}"
    return f"{said} % of all {all_rows:,}"
