"""What a report that was made says of itself in one line: on its run, in its notice and in its mail."""

from __future__ import annotations

from reports import access, figures
from reports.models import ReportRun
from runs import words

FIGURES_SAID = 3


def of(report_run: ReportRun) -> str:
    """ "120 rows for 9 to 15 November 2026, Europe/Berlin, 20 % more than the 100 of the period before. Sent: 1,200."

    Everybody who sees runs reads it: without totals where what is listed takes a permission of its own.
    """
    if report_run.state == ReportRun.State.INCOMPLETE:
        said = incomplete(report_run.row_count or 0, report_run.period)
    else:
        said = _complete(report_run)
    why_not = report_run.summary.get("not_sent")
    if why_not and not access.is_open_to_all_readers(report_run):
        return f"{said} Not sent."  # why may be a total
    return f"{said} Not sent: {why_not}" if why_not else said


def incomplete(row_count: int, period: str) -> str:
    """What is said, in its files as well, of a report that has more rows than it may have."""
    rows = words.counted(row_count, "row")
    return f"INCOMPLETE: only the first {rows} of {period}, because the report stops at {rows}."


def _complete(report_run: ReportRun) -> str:
    said = f"{words.counted(report_run.row_count or 0, 'row')} for {report_run.period}"
    parts = report_run.summary.get("parts", 1)
    if parts > 1:
        said += f", in {words.counted(parts, 'part')}"
    known = figures.of(report_run.summary)
    rows, totals = [one for one in known if one.label == "Rows"], [one for one in known if one.label != "Rows"]
    if rows and rows[0].change:
        said += f", {rows[0].change}"
    for total in totals[:FIGURES_SAID] if access.is_open_to_all_readers(report_run) else ():
        said += f". {total.label}: {total.words}{f', {total.change}' if total.change else ''}"
    return f"{said}."
