"""What the pages of queries say: states, and the rows of a try."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from reports.datasets.registry import Kind
from reports.models import ReportQuery
from reports.queries import approval
from reports.queries.services import ROWS_TRIED, Tried
from runs import words

_State = ReportQuery.State
TONES = {_State.DRAFT: "quiet", _State.WAITING: "warn", _State.APPROVED: "good", _State.REFUSED: "bad"}
MOST_CHARACTERS = 200
_KINDS = {
    Kind.TEXT: "text", Kind.INTEGER: "whole number", Kind.DECIMAL: "number", Kind.DATE: "date", Kind.MOMENT: "moment",
    Kind.YES_NO: "yes or no",
}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A try, ready for the page."""

    heads: list[tuple[str, str]]
    """(name, kind in a word)."""
    rows: list[list[tuple[str, str]]]
    """Of each cell the head and the text."""
    summary: str


def saved(query: ReportQuery) -> str:
    """What saving did, and what it did not."""
    is_behind = query.state == _State.DRAFT and query.approved_sha256
    running = " Reports go on with the text that was approved before." if is_behind else ""
    return f"“{query}” is saved.{running}"


def state_note(query: ReportQuery) -> str:
    """The state in a sentence."""
    if query.state == _State.APPROVED:
        who = f" by {query.approved_by}" if query.approved_by else ""
        when = f" {words.relative(query.approved_at)}" if query.approved_at else ""
        return f"Approved{who}{when}. Reports can list it."
    running = " Reports go on with the text that was approved before." if query.approved_sha256 else ""
    if query.state == _State.WAITING:
        return f"Somebody who did not write it has to approve it.{running}"
    if query.state == _State.REFUSED:
        return f"It was sent back. Change it, then ask for approval again.{running}"
    return f"No report can list {'this text' if running else 'it'} before somebody else approves it.{running}"


def author(query: ReportQuery) -> str:
    """Who wrote the text."""
    return str(query.author) if query.author else "–"


def approver(query: ReportQuery) -> str:
    """Who approved the text that reports run, and whether that is the one that stands here."""
    if not query.approved_sha256 or query.approved_at is None:
        return "Nobody yet"
    who = str(query.approved_by) if query.approved_by else "Almanac"
    return f"{who}, {words.relative(query.approved_at)}{' (an older text)' if approval.is_changed(query) else ''}"


def shown(tried: Tried) -> Shown:
    """The first rows as people read them."""
    heads = [(column.name, _KINDS[column.kind]) for column in tried.columns]
    rows = [[(name, _cell(value)) for (name, _), value in zip(heads, row, strict=True)] for row in tried.rows]
    count = f"The first {ROWS_TRIED} rows" if tried.has_more else words.counted(len(rows), "row")
    return Shown(heads, rows, f"{count}, {words.counted(len(heads), 'column')}, in {_seconds(tried.seconds)}.")


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} seconds" if seconds >= 1 else f"{max(1, round(seconds * 1000))} milliseconds"


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return words.here(value, seconds=True)
    if isinstance(value, date):
        return words.day(value)
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
