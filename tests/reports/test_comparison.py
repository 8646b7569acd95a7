"""Totals beside those of the period before, which is of equal kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import pytest

from reports import comparison, keeping, running
from reports.datasets.registry import Row
from reports.models import ReportDefinition, ReportRun
from reports.periods import Window
from runs import ledger
from runs.tasks import RunContext
from tests.reports.listings import listed

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]


@pytest.mark.parametrize(
    ("period", "window", "before"),
    [
        ("last_month", ("2026-10-01", "2026-11-01"), ("2026-09-01", "2026-10-01")),
        ("last_month", ("2026-03-01", "2026-04-01"), ("2026-02-01", "2026-03-01")),
        ("last_week", ("2026-11-09", "2026-11-16"), ("2026-11-02", "2026-11-09")),
        ("yesterday", ("2026-03-01", "2026-03-02"), ("2026-02-28", "2026-03-01")),
        ("last_n_days", ("2026-11-10", "2026-11-20"), ("2026-10-31", "2026-11-10")),
        ("month_to_date", ("2026-11-01", "2026-11-19"), ("2026-10-01", "2026-10-19")),
        ("month_to_date", ("2026-03-01", "2026-03-31"), ("2026-02-01", "2026-03-01")),
        ("month_to_date", ("2026-03-01", "2026-03-01"), ("2026-02-01", "2026-02-01")),
        ("fixed", ("2026-01-01", "2026-01-11"), ("2025-12-22", "2026-01-01")),
        ("since_last", ("2026-11-17", "2026-11-19"), ("2026-11-15", "2026-11-17")),
    ],
)
def test_the_period_before_is_of_equal_kind(period: str, window: tuple[str, str], before: tuple[str, str]) -> None:
    def of(days: tuple[str, str]) -> Window:
        return Window(date.fromisoformat(days[0]), date.fromisoformat(days[1]), "UTC")

    assert comparison.window_before(period, of(window)) == of(before)


def _growing(window: Window) -> Iterator[Row]:
    """Twelve rows a week from 9 November, ten in the week before."""
    count = 12 if window.first == date(2026, 11, 9) else 10
    return ((100 * count, "x") for _ in range(count))


def _count(window: Window) -> int:
    return len(list(_growing(window)))


@pytest.mark.django_db
def test_the_result_says_how_much_more(define: Define, claim: Claim) -> None:
    with listed(_growing, count=_count) as key:
        report = define(data_set=key)
        chosen = {"totals": [{"column": "n", "how": "sum"}]}
        ReportDefinition.objects.update(compares=True, selection=chosen)
        result = running.perform(claim(report))
    assert result == (
        "12 rows for 9 to 15 November 2026, Europe/Berlin, 20 % more than the 10 of the period before. "
        "N, sum: 14,400, 44 % more than the 10,000 of the period before."
    )
    summary = ReportRun.objects.get().summary
    assert (summary["rows"], summary["rows_before"]) == (12, 10)
    assert summary["totals"] == [{"label": "N, sum", "value": 14400, "before": 10000}]


@pytest.mark.django_db
def test_nothing_is_compared_unless_asked_for(define: Define, claim: Claim) -> None:
    with listed(_growing, count=_count) as key:
        assert running.perform(claim(define(data_set=key))) == "12 rows for 9 to 15 November 2026, Europe/Berlin."
    assert "rows_before" not in ReportRun.objects.get().summary


@pytest.mark.django_db
def test_a_total_of_days_is_kept_and_not_compared(define: Define, claim: Claim) -> None:
    from reports.datasets.registry import Column, Kind, Total

    columns = (Column("at", "At", Kind.MOMENT, totals=(Total.MOST,)),)
    moment = datetime.fromisoformat("2026-11-10T10:00:00+01:00")
    with listed(lambda window: iter([(moment,), (moment - timedelta(days=1),)]), columns) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(compares=True, selection={"totals": [{"column": "at", "how": "most"}]})
        running.perform(claim(report))
    (total,) = ReportRun.objects.get().summary["totals"]
    assert total["value"].startswith("2026-11-10T") and "before" not in total


@pytest.mark.django_db
def test_made_again_it_is_compared_with_the_same_days_whatever_is_edited_since(define: Define, claim: Claim) -> None:
    read: list[tuple[date, date]] = []

    def rows(window: Window) -> Iterator[Row]:
        read.append((window.first, window.beyond))
        return iter([(1, "x")])

    with listed(rows) as key:
        chosen = {"totals": [{"column": "n", "how": "sum"}]}
        report = define(data_set=key, period="last_month", compares=True, selection=chosen)
        running.perform(claim(report))
        first, original = set(read), ReportRun.objects.get()
        read.clear()
        ReportDefinition.objects.update(period="last_week")
        again = ledger.claim(keeping.make_again(None, original.pk, key="a").run_id, "test worker")
        assert again is not None
        running.perform(RunContext(again))
    assert (date(2026, 9, 1), date(2026, 10, 1)) in first and set(read) == first
