"""A policy in words: what it deletes, whether it is on, and what it does next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.text import capfirst

from cleanup import targets
from cleanup.models import Archiving, CleanupPolicy
from runs import words
from schedules.cron_words import joined


@dataclass(frozen=True)
class Ahead:
    """What its schedules will do."""

    due_at: datetime | None
    """When it runs next by itself; None when it does not."""
    why_not: str = ""
    """Why not, where it is on a schedule all the same: "its schedule is paused"."""


def what(policy: CleanupPolicy) -> str:
    """ "expired sign-in sessions and sign-ups that were never confirmed"."""
    return joined([_lowered(targets.label(key)) for key in policy.targets])


def narrowed(policy: CleanupPolicy) -> list[str]:
    """What its filters leave in, a phrase for each: "Runs: only of Weekly letter"."""
    found = []
    for key, chosen in policy.filters.items():
        if key not in policy.targets:
            continue
        for name, value in chosen.items():
            found.append(f"{targets.label(key)}, {_filter(key, name, value)}")
    return found


def rule(policy: CleanupPolicy) -> list[tuple[str, str]]:
    """Each decision with its words, for whoever has to agree to it."""
    said = [
        ("Deletes", capfirst(what(policy)) if policy.targets else "Nothing"),
        ("Older than", words.counted(policy.days, "day")),
        *(("Only", phrase) for phrase in narrowed(policy)),
    ]
    if policy.keep_last:
        said.append(("Always keeps", f"the newest {policy.keep_last:,} of each group"))
    said.append(("Keeps a copy", copy(policy)))
    if policy.max_rows:
        said.append(("Rows a run", f"at most {policy.max_rows:,}"))
    if policy.max_minutes:
        said.append(("Time a run", f"at most {words.counted(policy.max_minutes, 'minute')}"))
    return said


def copy(policy: CleanupPolicy) -> str:
    """ "As JSON lines, for 90 days"; "No: what is deleted is gone"."""
    if policy.archive == Archiving.NONE:
        return "No: what is deleted is gone"
    kind = "As Parquet" if policy.archive == Archiving.PARQUET else "As JSON lines"
    return (
        f"{kind}, for {words.counted(policy.archive_days, 'day')}" if policy.archive_days else f"{kind}, until deleted"
    )


def sentence(policy: CleanupPolicy, ahead: Ahead, rows: int | None) -> str:
    """ "Next, on Sun 29 Nov 2026, 03:30 CET (in 7 days), it deletes about 1,204 rows older than 90 days"; ``rows`` is None
    where nobody counted.
    """
    age = words.counted(policy.days, "day")
    if not policy.is_enabled:
        return f"It deletes nothing. Once it is on, it deletes what is older than {age}."
    if ahead.due_at is not None:
        when = f"Next, on {words.here(ahead.due_at)} ({words.relative(ahead.due_at)}),"
        if rows is None:
            return f"{when} it deletes what is older than {age}."
        so_many = f"about {words.counted(rows, 'row')}" if rows else "nothing, as no row that may go is then"
        return f"{when} it deletes {so_many} older than {age}."
    if ahead.why_not:
        return f"It deletes what is older than {age}, but not by itself now: {ahead.why_not}."
    return f"It is on no schedule, so it deletes what is older than {age} only when somebody starts it."


def _filter(key: str, name: str, value: str) -> str:
    try:
        one = next(one for one in targets.get(key).filters if one.name == name)
    except (KeyError, StopIteration):
        return f"{name} {value} (no longer offered)"
    label = one.name_of(value) or f"{value} (no longer there)"
    return f"{one.label.lower()}: {label}"


def _lowered(label: str) -> str:
    return label[:1].lower() + label[1:]
