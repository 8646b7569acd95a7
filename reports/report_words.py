"""What the library says of a report that was made: its state, how long it is kept, what it listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from reports import periods
from reports.datasets import registry
from reports.models import Artefact, ReportRun
from runs import words
from runs.models import Run
from runs.states import FINAL, Trigger
from runs.states import State as RunState

State = ReportRun.State
_TONES = {
    State.QUEUED: "quiet", State.RUNNING: "live", State.SUCCEEDED: "good", State.INCOMPLETE: "warn",
    State.SKIPPED: "quiet", State.FAILED: "bad", State.CANCELLED: "quiet",
}  # fmt: skip
OPEN = (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class Shown:
    """A state as a coloured word."""

    state: str
    tone: str
    word: str

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


def shown(report_run: ReportRun, run: Run | None) -> Shown:
    """Its state; that of its run where that ended without the report's record being told."""
    state = State(report_run.state)
    if state in OPEN and run is not None and run.state in FINAL and run.state != RunState.SUCCEEDED:
        state = State.CANCELLED if run.state == RunState.CANCELLED else State.FAILED
    # Loud: nobody shall take a part for the whole.
    word = "INCOMPLETE" if state == State.INCOMPLETE else str(state.label)
    return Shown(state, _TONES[state], word)


def period(report_run: ReportRun) -> str:
    """Its days in words, in the reader's language of dates."""
    try:
        return periods.between(report_run.window_start, report_run.window_end, report_run.time_zone).words
    except (KeyError, ValueError, OSError):
        return report_run.period


def kept(files: Iterable[Artefact], *, is_latest: bool) -> tuple[str, str]:
    """How long its files are kept, in words, and a second line: "For 90 days", "until Fri 19 Feb 2027"."""
    files = list(files)
    there = [one for one in files if one.deleted_at is None]
    if not files:
        return "", ""
    if not there:
        gone, why = max((one.deleted_at, one.deleted_why) for one in files if one.deleted_at is not None)
        return f"Deleted {words.relative(gone)}", f"Why: {why}" if why else ""
    until = min(one.expires_at for one in there)
    if until > timezone.now():
        left = words.relative(until)
        lasts = f"For {left.removeprefix('in ')}" if left.startswith("in ") else f"Until {left}"
        return lasts, f"until {words.day(timezone.localtime(until))}"
    if is_latest:
        return "As the latest", f"its time was over {words.day(timezone.localtime(until))}"
    return "No longer", f"its time was over {words.day(timezone.localtime(until))}"


def started_by(run: Run | None) -> str:
    """ "Anna (Run now)", "Schedule"."""
    if run is None:
        return "No longer on record"
    how = Trigger(run.trigger).label
    return f"{run.requested_by_name} ({how})" if run.requested_by_name else how


def chosen(report_run: ReportRun) -> list[tuple[str, str]]:
    """What it listed, as it was chosen when it was made: (label, words)."""
    choices = report_run.choices if isinstance(report_run.choices, dict) else {}
    if choices.get("query_id"):
        facts = [("Lists", "An approved SQL query")]
        return facts + [(str(name), str(value)) for name, value in dict(choices.get("parameters") or {}).items()]
    try:
        data_set = registry.get(str(choices.get("data_set", "")))
    except registry.UnknownDataSet:
        return [("Lists", "Something that is no longer available")]
    return [("Lists", data_set.label), *_selected(choices.get("selection") or {}, data_set)]


def _selected(selection: dict[str, Any], data_set: registry.DataSet) -> list[tuple[str, str]]:
    labels = {column.name: column.label for column in data_set.columns} | dict(selection.get("called") or {})

    def named(name: object) -> str:
        return str(labels.get(str(name), name))

    facts = []
    if columns := selection.get("columns"):
        facts.append(("Columns", ", ".join(named(name) for name in columns)))
    if filters := selection.get("filters"):
        facts.append(("Only where", "; ".join(_filter(named(one.get("column")), one) for one in filters)))
    if groups := selection.get("groups"):
        said = [named(one.get("column")) + (f" by {one['by']}" if one.get("by") else "") for one in groups]
        facts.append(("A row for each", ", ".join(said)))
    if totals := selection.get("totals"):
        facts.append(("Totals", ", ".join(f"{named(one.get('column'))} ({one.get('how')})" for one in totals)))
    return facts


def _filter(label: str, stored: dict[str, Any]) -> str:
    how = str(stored.get("is", "")).replace("_", " ")
    return f"{label} {how} {', '.join(map(str, stored.get('values') or []))}".strip()
