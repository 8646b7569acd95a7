"""More rows than a report may have: told everywhere, split, or refused; and nothing of it at exactly the limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.db import connection

from reports import copying, outputs, running, storage
from reports.models import Artefact, ReportDefinition, ReportRun
from runs.models import Notice, RunEvent, RunLink
from runs.tasks import JobFailed, RunContext
from tests.reports.listings import listed, sessions

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]
CAP = 100


COPY = pytest.param(
    "copy",
    marks=[
        pytest.mark.django_db(transaction=True),
        pytest.mark.skipif(connection.vendor != "postgresql", reason="COPY is PostgreSQL's"),
    ],
)


@pytest.fixture(params=["python", COPY])
def of_rows(
    request: pytest.FixtureRequest, define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., RunContext]]:
    """A claimed run of a report of so many rows, made by Python or, on PostgreSQL, by the database."""
    monkeypatch.setattr(copying, "FROM_ROWS", 0 if request.param == "copy" else 10**9)
    with ExitStack() as listed_meanwhile:

        def make(count: int, on_cap: str) -> RunContext:
            report = define(data_set=listed_meanwhile.enter_context(sessions(count)))
            ReportDefinition.objects.filter(pk=report.pk).update(row_cap=CAP, on_cap=on_cap)
            return claim(report)

        yield make


def lines(artefact: Artefact) -> list[bytes]:
    return storage.path_of(artefact.key, artefact.format).read_bytes().splitlines()


def test_one_row_too_many_is_told_everywhere(of_rows: Callable[..., RunContext], admin_user: object) -> None:
    run = of_rows(CAP + 1, "incomplete")
    ReportDefinition.objects.get().notify.add(admin_user)  # type: ignore[arg-type]
    result = running.perform(run)
    assert result.startswith("INCOMPLETE: only the first 100 rows of ")
    report_run = ReportRun.objects.get()
    assert (report_run.state, report_run.row_count) == ("incomplete", CAP)
    artefact = Artefact.objects.get()
    assert artefact.file_name.endswith("_INCOMPLETE.csv") and artefact.row_count == CAP
    assert len(lines(artefact)) == CAP + 1 and lines(artefact)[-1].startswith(b"000099,")
    assert "INCOMPLETE" in Notice.objects.get().text and Notice.objects.get().level == "warning"
    assert RunEvent.objects.filter(run_id=run.id, level="warning", message=result).exists()


def test_one_row_too_many_goes_into_another_file(of_rows: Callable[..., RunContext]) -> None:
    run = of_rows(2 * CAP + 1, "split")
    assert ", in 3 parts." in running.perform(run)
    report_run = ReportRun.objects.get()
    assert (report_run.state, report_run.row_count) == ("succeeded", 2 * CAP + 1)
    parts = list(Artefact.objects.order_by("part"))
    assert [(one.part, one.row_count) for one in parts] == [(1, CAP), (2, CAP), (3, 1)]
    assert [one.file_name.rpartition("15")[2] for one in parts] == ["_part_1.csv", "_part_2.csv", "_part_3.csv"]
    assert all(lines(one)[0] == lines(parts[0])[0] for one in parts)
    together = [line for one in parts for line in lines(one)[1:]]
    assert len(together) == len(set(together)) == 2 * CAP + 1 and together == sorted(together)
    assert all(storage.is_intact(storage.path_of(one.key), one.sha256) for one in parts)
    assert len({one.key for one in parts}) == 3 and RunLink.objects.filter(run_id=run.id).count() == 3


def test_one_row_too_many_is_refused(of_rows: Callable[..., RunContext]) -> None:
    with pytest.raises(JobFailed, match="more than 100 rows, and is set to make no file then") as raised:
        running.perform(of_rows(CAP + 1, "fail"))
    assert not raised.value.may_retry
    assert not Artefact.objects.exists() and list(storage.folder().iterdir()) == []
    assert ReportRun.objects.get().state == "failed" and "more than 100 rows" in ReportRun.objects.get().error


@pytest.mark.parametrize("on_cap", ["incomplete", "split", "fail"])
def test_at_exactly_the_limit_nothing_is_special(of_rows: Callable[..., RunContext], on_cap: str) -> None:
    assert running.perform(of_rows(CAP, on_cap)) == "100 rows for 9 to 15 November 2026, Europe/Berlin."
    artefact = Artefact.objects.get()
    assert artefact.file_name == "numbers_2026-11-09_to_2026-11-15.csv"
    assert ReportRun.objects.get().state == "succeeded" and len(lines(artefact)) == CAP + 1


def test_a_report_of_unknown_length_is_refused_when_the_limit_is_passed(define: Define, claim: Claim) -> None:
    with listed([(n, "x") for n in range(11)]) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(row_cap=10, on_cap="fail")
        with pytest.raises(JobFailed, match="more than 10 rows"):
            running.perform(claim(report))
    assert list(storage.folder().iterdir()) == []


def test_a_split_into_very_many_files_is_refused_in_words(
    define: Define, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "MOST_PARTS", 3)
    with listed([(n, "x") for n in range(8)]) as key:
        report = define(data_set=key)
        ReportDefinition.objects.update(row_cap=2, on_cap="split")
        with pytest.raises(JobFailed, match="more than 3 files of 2 rows"):
            running.perform(claim(report))
    assert list(storage.folder().iterdir()) == []
