"""The last runs of a schedule as a row of small bars, and the one sentence that says the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

from runs import words
from runs.queries import PastRun
from runs.states import State

SHOWN = 20
_MARKS = {state: format_html('<i class="al-run al-run-{}"></i>', state.value) for state in State}


def summary(runs: Sequence[PastRun]) -> str:
    """ "17 of 20 succeeded, 2 failed, 1 skipped"."""
    counts = Counter(run.state for run in runs)
    succeeded = counts.pop(State.SUCCEEDED, 0)
    by_word: Counter[str] = Counter()
    for state, count in counts.items():  # two states are one word: waiting
        by_word[words.state_word(state).lower()] += count
    others = "".join(f", {count} {word}" for word, count in by_word.most_common())
    return f"{succeeded} of {len(runs)} succeeded{others}"


def bars(runs: Sequence[PastRun], url: str = "") -> SafeString:
    """Oldest first, as time is read. Height and pattern tell the state as well as the colour does."""
    if not runs:
        return format_html("{}", "Not yet")
    marks = SafeString("".join(_MARKS[run.state] for run in reversed(runs)))
    said = summary(runs)
    row = format_html(
        '<span class="al-run-bars" aria-hidden="true" title="{}">{}</span><span class="al-hidden">{}</span>',
        said, marks, f"Last {words.counted(len(runs), 'run')}: {said}",
    )  # fmt: skip
    return format_html('<a class="al-run-link" href="{}">{}</a>', url, row) if url else row
