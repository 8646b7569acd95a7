"""What each row of the list of schedules says, gathered for a whole page at once: the queries do not grow with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.urls import reverse
from django.utils.safestring import SafeString

from runs import clock, job_kinds, words
from runs.addresses import of_row
from runs.queries import PastRun, newest_runs
from schedules import kinds
from schedules.coming import why_not
from schedules.models import DeskPause, Schedule
from schedules.policies import Pause
from schedules.run_bars import SHOWN, bars
from schedules.status import Status, status_of


@dataclass(frozen=True)
class Row:
    """One schedule as the list shows it to one person."""

    status: Status
    url: str
    target: str
    when: str
    bars: SafeString
    last_words: str
    """How the last run ended and how long ago; empty before the first."""
    last_url: str
    """Its page; empty for whoever may not see it."""
    next_words: str
    next_at: str
    next_note: str
    """Why the next due time will not run; empty when it will."""
    verbs: tuple[tuple[str, str], ...]
    """What this person may do with it: the verb and its word."""


def rows_of(schedules: Sequence[Schedule], reader: AbstractBaseUser | AnonymousUser) -> dict[int, Row]:
    """The row of each schedule, by its number."""
    now = clock.now()
    runs = newest_runs([schedule.pk for schedule in schedules], SHOWN)
    found = kinds.find_targets((schedule.kind, schedule.target_id) for schedule in schedules)
    targets = {key: f"{kinds.get(key[0]).label}: {target}" for key, target in found.items()}
    desk_pauses = DeskPause.covering(now)
    is_all_paused = any(pause.end is None for pause in desk_pauses)
    may_pause, may_run = reader.has_perm("schedules.pause_schedule"), reader.has_perm("schedules.run_schedule")  # type: ignore[union-attr]
    runs_url = reverse("admin:runs_run_changelist") if reader.has_perm("runs.view_run") else ""  # type: ignore[union-attr]
    return {
        schedule.pk: Row(
            status=status_of(
                schedule,
                runs[schedule.pk],
                now,
                is_all_paused=is_all_paused,
                has_target=(schedule.kind, schedule.target_id) in targets,
            ),
            url=of_row("admin:schedules_schedule_detail", schedule.pk),
            target=targets.get(
                (schedule.kind, schedule.target_id), f"{job_kinds.label(schedule.kind)}: no longer exists"
            ),
            when=schedule.describe(),
            bars=bars(runs[schedule.pk], runs_url and f"{runs_url}?schedule={schedule.pk}"),
            next_note=_next_note(schedule, desk_pauses, has_target=(schedule.kind, schedule.target_id) in targets),
            verbs=_verbs(schedule, may_pause, may_run),
            **_last(runs[schedule.pk], now, is_linked=bool(runs_url)),
            **_next(schedule, now),
        )
        for schedule in schedules
    }


def _last(runs: Sequence[PastRun], now: datetime, *, is_linked: bool) -> dict[str, str]:
    if not runs:
        return {"last_words": "", "last_url": ""}
    last = runs[0]
    return {
        "last_words": f"{words.state_word(last.state)} {words.relative(last.due_at, now)}",
        "last_url": of_row("admin:runs_run_change", last.id) if is_linked else "",
    }


def _next(schedule: Schedule, now: datetime) -> dict[str, str]:
    due = schedule.next_due_at
    if due is None:
        return {"next_words": "None", "next_at": ""}
    return {
        "next_words": words.relative(due, now) if due > now else "Now",
        "next_at": words.both_clocks(due, schedule.time_zone),
    }


def _next_note(schedule: Schedule, desk_pauses: Sequence[Pause], *, has_target: bool) -> str:
    if schedule.next_due_at is None:
        return ""
    why = why_not(schedule, schedule.next_due_at, schedule.policy(desk_pauses), has_target=has_target)
    return "" if why is None else f"Will not run. {why}"


def _verbs(schedule: Schedule, may_pause: bool, may_run: bool) -> tuple[tuple[str, str], ...]:
    pause = ("resume", "Resume") if schedule.is_paused else ("pause", "Pause")
    return ((pause,) if may_pause else ()) + ((("run_now", "Run now"),) if may_run else ())
