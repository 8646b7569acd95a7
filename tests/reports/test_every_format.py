from __future__ import annotations

from collections.abc import Callable

from reports import running, storage
from reports.models import Artefact, Format, ReportDefinition, ReportRun
from runs.tasks import RunContext
from tests.reports import files

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]


def contents() -> dict[str, bytes]:
    return {one.format: storage.path_of(one.key, one.format).read_bytes() for one in Artefact.objects.all()}


def test_one_run_makes_the_same_rows_in_every_format(define: Define, claim: Claim) -> None:
    definition = define()
    ReportDefinition.objects.filter(pk=definition.pk).update(formats=Format.values)
    running.perform(claim(definition))
    made = contents()
    days = [f"2026-11-{day:02}" for day in range(9, 16)]
    assert [row[0] for row in files.csv_rows(made["csv"])[1:]] == days
    assert [row["day"] for row in files.jsonl_rows(made["jsonl"])] == days
    assert [str(row["day"]) for row in files.parquet_rows(made["parquet"])] == days
    # Days since 30 December 1899.
    assert [row["A"] for row in files.xlsx_rows(made["xlsx"])][1:] == [46335 + place for place in range(7)]
    front, rows = files.pdf_pages(made["pdf"])
    assert "Rows 7" in front and "The next page shows all 7 rows." in front
    assert all(day in rows for day in days)
    assert ReportRun.objects.get().state == "succeeded"
    names = sorted(one.file_name for one in Artefact.objects.all())
    assert names == [
        f"numbers_2026-11-09_to_2026-11-15.{ending}" for ending in ("csv", "jsonl", "parquet", "pdf", "xlsx")
    ]


def test_a_report_that_stops_early_says_so_inside_its_files(define: Define, claim: Claim) -> None:
    definition = define(row_cap=3)
    ReportDefinition.objects.filter(pk=definition.pk).update(formats=["xlsx", "pdf"])
    said = running.perform(claim(definition))
    assert said.startswith("INCOMPLETE: only the first 3 rows")
    made = contents()
    assert said in files.pdf_pages(made["pdf"])[0]
    assert {"A": "INCOMPLETE", "B": said} in list(files.xlsx_rows(made["xlsx"], 2))
