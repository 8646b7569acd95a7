"""How each attempt of a run went, put together from its log lines and its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Max, Min

from runs.models import Run, RunEvent
from runs.states import WAITING, State

LISTED = 20


@dataclass(frozen=True)
class Attempt:
    """One try."""

    number: int
    started_at: datetime | None
    """None where nothing was noted of the start."""
    ended_at: datetime | None
    tone: str
    word: str
    outcome: str


def attempts_of(run: Run) -> list[Attempt]:
    """The latest attempts, the first one first; three queries however many there were."""
    if not run.attempt:
        return []
    first = max(1, run.attempt - LISTED + 1)
    events = RunEvent.objects.filter(run=run, attempt__gte=first).order_by()
    spans = {row["attempt"]: row for row in events.values("attempt").annotate(start=Min("at"), end=Max("at"))}
    last_ids = events.exclude(level=RunEvent.Level.INFO).values("attempt").annotate(last=Max("id"))
    troubles = RunEvent.objects.in_bulk([row["last"] for row in last_ids])
    said = {event.attempt: event.message for event in troubles.values()}
    earlier = [_earlier(number, spans.get(number), said.get(number, "")) for number in range(first, run.attempt)]
    return [*earlier, _latest(run, spans.get(run.attempt), said.get(run.attempt, ""))]


def _earlier(number: int, span: Mapping[str, Any] | None, message: str) -> Attempt:
    start, end = (span["start"], span["end"]) if span else (None, None)
    word, tone = ("Failed", "bad") if message else ("Ended early", "quiet")
    return Attempt(number, None if start == end else start, end, tone, word, message or "Another attempt took over.")


def _latest(run: Run, span: Mapping[str, Any] | None, message: str) -> Attempt:
    if run.state == State.RUNNING:
        return Attempt(run.attempt, run.started_at, None, "live", "Running", "Under way.")
    if run.state == State.SUCCEEDED:
        return Attempt(run.attempt, run.started_at, run.finished_at, "good", "Succeeded", run.result)
    if run.state == State.CANCELLED:
        return Attempt(run.attempt, run.started_at, run.finished_at, "quiet", "Cancelled", run.reason_text)
    ended = span["end"] if span and run.state in WAITING else run.finished_at
    tone, word = ("bad", "Failed") if run.error or message else ("quiet", "Ended early")
    return Attempt(run.attempt, run.started_at, ended, tone, word, run.error or message or run.reason_text)
