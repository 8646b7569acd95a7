"""When a report that was made is also sent, and what it says where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from reports import copying, running, storage
from reports.datasets.registry import Column, Kind, Row, Total
from reports.models import Artefact, ReportDefinition, ReportRun
from reports.pouring import Pouring
from runs.models import Notice
from runs.tasks import RunContext
from tests.reports.listings import NUMBERED, listed, sessions

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]
PERIOD = "9 to 15 November 2026, Europe/Berlin"


@pytest.fixture
def make(define: Define, claim: Claim, staff: Callable[..., User]) -> Callable[..., str]:
    """Makes the report of these rows, which "told" is told of, and returns its result."""
    told = staff("told")

    def make_it(rows: Sequence[Row], columns: Sequence[Column] = NUMBERED, **values: Any) -> str:
        with listed(rows, columns) as key:
            report = ReportDefinition.objects.filter(name="Numbers").first() or define(data_set=key, notify=(told.pk,))
            ReportDefinition.objects.filter(pk=report.pk).update(**values)
            return running.perform(claim(report))

    return make_it


def sent() -> int:
    return Notice.objects.filter(user__username="told").count()


def test_nothing_to_report_is_made_and_not_sent(make: Callable[..., str]) -> None:
    assert make([], condition="has_rows") == f"0 rows for {PERIOD}. Not sent: it has no rows."
    assert ReportRun.objects.get().state == "skipped" and sent() == 0
    assert storage.path_of(Artefact.objects.get().key).read_bytes() == b"\xef\xbb\xbfN,Text\r\n"
    assert make([(1, "x")], condition="has_rows") == f"1 row for {PERIOD}."
    assert sent() == 1


def test_only_nothing_is_worth_telling(make: Callable[..., str]) -> None:
    assert make([(1, "x")], condition="no_rows").endswith("Not sent: it has rows.")
    assert sent() == 0
    assert make([], condition="no_rows") == f"0 rows for {PERIOD}."
    assert sent() == 1


@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl", "parquet", "pdf"])
def test_an_empty_report_is_a_file_and_no_error(make: Callable[..., str], format: str) -> None:
    assert make([], condition="always", formats=[format]) == f"0 rows for {PERIOD}."
    assert ReportRun.objects.get().state == "succeeded" and sent() == 1
    artefact = Artefact.objects.get()
    assert artefact.file_name.endswith(f".{format}")
    assert storage.is_intact(storage.path_of(artefact.key, format), artefact.sha256)


def test_an_unchanged_report_is_not_sent_again(make: Callable[..., str]) -> None:
    rows = [(1, "a"), (2, "b")]
    assert "Not sent" not in make(rows, condition="changed")
    assert make(rows).endswith("Not sent: nothing has changed since the last one.")
    assert ReportRun.objects.first().state == "skipped"  # type: ignore[union-attr]
    assert "Not sent" not in make([(1, "a"), (2, "B")])
    assert "Not sent" not in make(rows), "it differs from the last one, if not from the one before"
    assert "Not sent" not in make(rows[::-1]), "another order is another report"
    assert sent() == 4


def test_whether_it_changed_does_not_depend_on_the_formats(make: Callable[..., str]) -> None:
    rows = [(1, "a"), (2, "=b\n=c")]
    seen = set()
    for formats in (["csv"], ["jsonl"], ["xlsx", "parquet"], ["xlsx", "csv"]):
        make(rows, condition="changed", formats=formats)
        seen.add(ReportRun.objects.latest("pk").content_sha256)
    assert len(seen) == 1 and sent() == 1


def test_whether_it_changed_does_not_depend_on_the_parts(make: Callable[..., str]) -> None:
    rows = [(n, "a") for n in range(25)]
    make(rows, condition="changed")
    assert "Not sent: nothing has changed" in make(rows, row_cap=10, on_cap="split")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="COPY is PostgreSQL's")
@pytest.mark.django_db(transaction=True)
def test_whether_it_changed_does_not_depend_on_who_writes_the_lines(
    define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sessions(50) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(condition="changed")
        running.perform(claim(report))
        by_python = Artefact.objects.get().sha256
        monkeypatch.setattr(copying, "FROM_ROWS", 0)
        monkeypatch.setattr(Pouring, "rows", None)
        assert running.perform(claim(report)).endswith("Not sent: nothing has changed since the last one.")
    assert Artefact.objects.latest("pk").sha256 == by_python


def test_a_failed_report_is_not_what_the_next_is_compared_with(make: Callable[..., str]) -> None:
    make([(1, "a")], condition="changed")
    make([(2, "b")])
    ReportRun.objects.filter(pk=ReportRun.objects.latest("pk").pk).update(state="failed")
    assert "Not sent" in make([(1, "a")])


def test_it_is_compared_with_the_last_one_and_not_with_one_before(make: Callable[..., str]) -> None:
    make([(1, "a")], condition="changed", formats=["xlsx"])
    make([(2, "b")], condition="always")  # nobody takes the fingerprint of its rows
    assert "Not sent" not in make([(1, "a")], condition="changed")
    assert "Not sent: nothing has changed" in make([(1, "a")])


def at(make: Callable[..., str], value: int, **values: Any) -> str:
    return make(
        [(1, "x")] * value, condition="threshold", threshold_of="Rows", threshold_is="above", threshold=5, **values
    )


def test_a_threshold_tells_once_until_it_is_armed_anew(make: Callable[..., str]) -> None:
    assert at(make, 5, rearm=3).endswith("Not sent: “Rows” is 5, which is not above 5.")
    assert "Not sent" not in at(make, 6)
    assert ReportDefinition.objects.get().is_past_threshold
    assert at(make, 9).endswith(
        "Not sent: “Rows” is 9; it was sent when it passed 5, and will be again once it was back at 3."
    )
    assert "Not sent" in at(make, 4), "not back yet"
    assert "Not sent" in at(make, 7)
    assert "Not sent" in at(make, 3), "armed anew"
    assert not ReportDefinition.objects.get().is_past_threshold
    assert "Not sent" not in at(make, 6)
    assert sent() == 2


def test_a_threshold_without_a_way_back_arms_itself_at_the_limit(make: Callable[..., str]) -> None:
    shown = ["Not sent" not in at(make, value, rearm=None) for value in (6, 7, 5, 6)]
    assert shown == [True, False, False, True]


def test_a_threshold_below_is_the_same_in_the_mirror(make: Callable[..., str]) -> None:
    ReportDefinition.objects.all()
    values = {"condition": "threshold", "threshold_of": "Rows", "threshold_is": "below", "threshold": 3, "rearm": 5}
    shown = ["Not sent" not in make([(1, "x")] * value, **values) for value in (3, 2, 1, 4, 2, 5, 2)]
    assert shown == [False, True, False, False, False, False, True]


def test_a_total_that_is_unknown_is_not_sent_and_arms_nothing(make: Callable[..., str]) -> None:
    columns = (Column("n", "N", Kind.INTEGER, totals=(Total.MOST,)),)
    values: dict[str, Any] = {
        "condition": "threshold", "threshold_of": "N, highest", "threshold_is": "above", "threshold": 5,
        "selection": {"totals": [{"column": "n", "how": "most"}]},
    }  # fmt: skip
    unknown = "Not sent: “N, highest” is unknown, because there was nothing to count."
    assert make([], columns, **values).endswith(unknown)
    assert "Not sent" not in make([(9,)], columns)
    assert make([], columns).endswith(unknown)
    assert "Not sent" in make([(9,)], columns), "it did not go back in between"


def test_the_next_attempt_decides_nothing_anew(make: Callable[..., str], claim: Claim) -> None:
    at(make, 6)
    report_run = ReportRun.objects.get()
    storage.path_of(Artefact.objects.get().key).unlink()
    with listed([(1, "x")] * 6):
        result = running.perform(claim(run=_Again(report_run.run_id)))
    assert "Not sent" not in result and ReportRun.objects.get().state == "succeeded"


class _Again:
    def __init__(self, run_id: int) -> None:
        self.id = run_id


def test_one_that_is_not_sent_is_still_told_to_be_incomplete(make: Callable[..., str]) -> None:
    result = make([(n, "x") for n in range(3)], condition="no_rows", row_cap=2)
    assert result.startswith("INCOMPLETE") and result.endswith("Not sent: it has rows.")
    assert ReportRun.objects.get().state == "incomplete" and sent() == 0
