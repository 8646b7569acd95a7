"""Counts of runs in words: the worst first, so that a full day is understood at a glance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from runs import words
from runs.states import OPEN, State

ORDER = (
    State.FAILED, State.MISSED, State.RUNNING, State.PLANNED, State.PUBLISHED, State.CANCELLED, State.SKIPPED,
    State.SUCCEEDED,
)  # fmt: skip
SIGNS = {
    State.FAILED: "✕", State.MISSED: "!", State.RUNNING: "▸", State.PLANNED: "…", State.PUBLISHED: "…",
    State.CANCELLED: "–", State.SKIPPED: "–", State.SUCCEEDED: "✓",
}  # fmt: skip


def worst(states: Mapping[str, int]) -> State:
    """The state that most needs somebody's eye."""
    return next(state for state in ORDER if states.get(state))


def word(state: State) -> str:
    """ "failed"."""
    return words.state_word(state).lower()


def counts_in_words(states: Mapping[str, int]) -> str:
    """ "2 failed, 286 succeeded"."""
    counts: Counter[str] = Counter()
    for state in ORDER:
        counts[word(state)] += states.get(state, 0)
    return ", ".join(f"{count:,} {said}" for said, count in counts.items() if count)


def has_open(states: Mapping[str, int]) -> bool:
    """Whether something still waits or runs."""
    return any(states.get(state) for state in OPEN)
