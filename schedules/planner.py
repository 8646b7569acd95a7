"""Turns due schedules into ledger rows: one transaction per batch, no broker, no memory between ticks.

Any number of beats may call this at once. On PostgreSQL they share the due rows by SKIP LOCKED; on SQLite
the single writer arbitrates; the unique key on (schedule, due time) makes a double impossible everywhere.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db import models, transaction
from django.db.models import Count, F
from django_celery_beat.models import PeriodicTask

from runs import audit, bulk, clock, failpoints, occurrences, outcomes
from runs.locking import skip_locked
from runs.models import Run
from runs.occurrences import Occurrence, Unsent
from runs.states import OPEN, Reason, State
from schedules import kinds, targets
from schedules.cron import CronError
from schedules.models import DeskPause, HolidayCalendar, Schedule
from schedules.policies import ON_TIME, Decision, Pause, Policy, decide, takes_place

logger = logging.getLogger(__name__)

BATCH = 1000
HELD = timedelta(seconds=10)
"""A beat sends what it planned within this time; if it dies, another beat sends it then."""
OCCURRENCES_PER_SCHEDULE = 1000
"""Due times decided for one schedule in one transaction. After a long outage the rest follows in the next, and the
ones that nobody will run again are summed up, so that a year of minutes does not fill the ledger."""


@dataclass
class _Outcome:
    """What one schedule's row becomes."""

    schedule: Schedule
    cursor_at: datetime
    next_due_at: datetime | None
    planned: int = 0
    skip_at: datetime | None = None
    broken_reason: str = ""


def plan_due(hand_over: Callable[[list[Unsent]], None] | None = None) -> int:
    """Plans everything that is due now, one batch; returns how many schedules were handled.

    ``hand_over`` gets the planned runs once they are committed, to send them without reading them back.
    """
    due = Schedule.objects.filter(next_due_at__lte=clock.now())
    if not due.exists():  # the idle tick: one index probe, no write lock
        return 0
    with transaction.atomic():
        now = clock.now()
        batch = list(locked(due).order_by("next_due_at")[:BATCH])
        failpoints.passing("before_insert")
        unsent = settle(batch, now, hold=None if hand_over is None else HELD)
    failpoints.passing("after_commit")
    if hand_over is not None and unsent:
        hand_over(unsent)
    return len(batch)


def end_pauses() -> int:
    """Ends pauses whose time has come, once every occurrence inside them has its row; returns how many."""
    over = Schedule.objects.filter(paused_at__isnull=False, paused_until__lte=clock.now())
    if not over.exists():
        return 0
    with transaction.atomic():
        now = clock.now()
        batch = list(locked(over).order_by("pk")[:BATCH])
        settle_fully(batch, now)
        ended = [schedule.pk for schedule in batch]
        Schedule.objects.filter(pk__in=ended).update(
            paused_at=None, paused_until=None, pause_reason="", paused_by=None, consecutive_failures=0
        )
        PeriodicTask.objects.filter(desk_schedule__in=ended).update(enabled=True)
        for schedule in batch:
            audit.record(None, "ended the pause at its time", schedule, before={"paused_until": schedule.paused_until})
    return len(batch)


def settle(schedules: Sequence[Schedule], now: datetime, *, hold: timedelta | None = None) -> list[Unsent]:
    """Decides every due time up to ``now`` for these (locked) schedules and moves their cursors.

    Call it inside a transaction; services call it before they pause, resume or edit, so that each due time
    is decided under the rules that held when it fell due. For ``hold`` see :func:`runs.occurrences.plan_many`.
    """
    unfinished = _unfinished([schedule.pk for schedule in schedules])
    _give_calendars(schedules)
    rows: list[Occurrence] = []
    moves: list[_Outcome] = []
    desk_pauses = DeskPause.covering(min((schedule.cursor_at for schedule in schedules), default=now))
    found = kinds.find_targets((schedule.kind, schedule.target_id) for schedule in schedules)
    for schedule in schedules:
        if schedule.broken_reason and schedule.next_due_at is None:
            continue  # only an edit or a repair lets it run again
        try:
            outcome, decisions = _decide(schedule, now, unfinished[schedule.pk], desk_pauses)
        except Exception as error:  # one unreadable schedule must never stop the others
            if not isinstance(error, CronError):
                logger.exception("schedule %s cannot be evaluated", schedule.pk)
            outcome, decisions = _broken(schedule, now, str(error) or type(error).__name__)
        target = found.get((schedule.kind, schedule.target_id))
        if target is None and decisions:
            outcome.broken_reason = targets.NO_TARGET
            decisions = [
                Decision(d.due_at, State.MISSED, Reason.BROKEN, outcome.broken_reason) if d.is_planned else d
                for d in decisions
            ]
            schedule.planned_count -= outcome.planned
            outcome.planned = 0
        label = _label(schedule, target)
        is_backlog = len(decisions) == OCCURRENCES_PER_SCHEDULE
        for decision, further in _folded(decisions) if is_backlog else ((decision, 0) for decision in decisions):
            rows.append(_row(schedule, decision, now, label, further))
        moves.append(outcome)
    unsent = occurrences.plan_many(rows, now, hold=hold)
    _tell_missed(rows)
    failpoints.passing("after_insert")
    _write_back(moves, now)
    failpoints.passing("before_commit")
    return unsent


def settle_fully(schedules: Sequence[Schedule], now: datetime) -> None:
    """As :func:`settle`, until every due time up to ``now`` has its row, however many there are."""
    behind = list(schedules)
    while behind:
        before = [schedule.cursor_at for schedule in behind]
        for first in range(0, len(behind), BATCH):
            settle(behind[first : first + BATCH], now)
        behind = [
            schedule for schedule, cursor_at in zip(behind, before, strict=True) if cursor_at < schedule.cursor_at < now
        ]


def aim(schedule: Schedule, after: datetime) -> None:
    """Points the schedule (not yet saved) at its first due time after ``after``, by the timing that it has now."""
    for name in ("timing", "_days_off"):  # computed from the old values
        schedule.__dict__.pop(name, None)
    schedule.next_due_at = schedule.next_after(after)
    schedule.settled_timing = schedule.timing_text


def withdraw_paused(schedule: Schedule, desk_pause: Pause | None = None) -> int:
    """Takes back the (not yet saved) schedule's waiting runs because of its own pause or one of all; returns how many.

    They do not count towards the number of runs after which it ends.
    """
    pause = desk_pause or schedule.own_pause
    assert pause is not None
    withdrawn = occurrences.withdraw(schedule.pk, Reason.PAUSED, pause.recorded)
    schedule.planned_count = max(0, schedule.planned_count - withdrawn)
    if withdrawn and schedule.max_runs is not None and not schedule.broken_reason:
        aim(schedule, schedule.cursor_at)
    return withdrawn


def _decide(
    schedule: Schedule, now: datetime, unfinished: tuple[int, int], desk_pauses: Sequence[Pause]
) -> tuple[_Outcome, list[Decision]]:
    if schedule.is_timed_anew:
        # Edited outside the services a moment ago: the new timing holds from now on, never for what lies before.
        return _Outcome(schedule, now, schedule.next_after(now), skip_at=schedule.skip_at), []
    until = now if schedule.ends_at is None else min(now, schedule.ends_at)
    due_times = schedule.timing.between(schedule.cursor_at, until, OCCURRENCES_PER_SCHEDULE + 1)
    more_follow = len(due_times) > OCCURRENCES_PER_SCHEDULE
    policy, taken = schedule.policy(desk_pauses), 0
    if more_follow:
        due_times = due_times[:OCCURRENCES_PER_SCHEDULE]
        taken = _places_taken(schedule, policy, due_times[-1], until, now)
    waiting, running = unfinished
    decisions = decide(due_times, now=now, policy=policy, running=running, waiting=waiting, places_taken=taken)
    planned = sum(decision.is_planned for decision in decisions)
    schedule.planned_count += planned
    cursor = due_times[-1] if more_follow else max(now, schedule.cursor_at)
    outcome = _Outcome(schedule, cursor, schedule.next_after(cursor), planned, schedule.skip_at)
    if schedule.skip_at is not None and schedule.skip_at <= cursor:
        outcome.skip_at = None
    return outcome, decisions


def _places_taken(schedule: Schedule, policy: Policy, after: datetime, until: datetime, now: datetime) -> int:
    """How many of the policy's places go to due times after this piece. Holidays and pauses take none."""
    taken, piece = 0, 2 * policy.places
    while taken < policy.places:
        later = schedule.timing.between(after, until, piece)
        taken += sum(takes_place(due, now, policy) for due in later)
        if len(later) < piece:
            break
        after, piece = later[-1], OCCURRENCES_PER_SCHEDULE
    return taken


def _broken(schedule: Schedule, now: datetime, reason: str) -> tuple[_Outcome, list[Decision]]:
    """A schedule that cannot be read stops, in red, with a ledger row for the occurrence that met it."""
    outcome = _Outcome(schedule, now, None, broken_reason=f"It cannot be read: {reason}"[:300])
    if schedule.next_due_at is None:  # it was already known to be broken
        return outcome, []
    return outcome, [Decision(schedule.next_due_at, State.MISSED, Reason.BROKEN, outcome.broken_reason)]


def _tell_missed(rows: Sequence[Occurrence]) -> None:
    """One word per schedule about occurrences that nobody's rule asked to leave out."""
    told: set[int] = set()
    for row in rows:
        if row.state == State.MISSED and row.reason != Reason.SUPERSEDED and row.schedule_id not in told:
            told.add(row.schedule_id)
            outcomes.occurrence_missed.send_robust(
                Run, schedule_id=row.schedule_id, name=row.schedule_name, why=row.reason_text
            )


def _label(schedule: Schedule, target: models.Model | None) -> str:
    try:
        return "" if target is None else str(target)[:200]
    except Exception:  # a target that cannot even say its name must not stop the others
        return schedule.kind


def _row(schedule: Schedule, decision: Decision, now: datetime, label: str, further: int = 0) -> Occurrence:
    deadline = schedule.start_deadline_seconds
    # A run that is being caught up late by policy still gets the whole deadline from now on.
    start = max(decision.due_at, now)
    spread = _jitter(schedule, decision.due_at) if decision.is_planned and schedule.jitter_seconds else None
    if spread is not None:
        start = max(start, spread)
    text = decision.reason_text
    if further:
        text = f"{text}; this row stands for {further + 1:,} due times in a row"
    values = schedule.run_values()
    if now - decision.due_at > ON_TIME:
        values["exclusive"] = True  # what is caught up goes one after another, whatever the overlap rule
    return Occurrence(
        **values,
        target_label=label,
        spec_version=schedule.spec_version,
        due_at=decision.due_at,
        state=decision.state,
        reason=decision.reason or "",
        reason_text=text[:300],
        next_publish_at=start if decision.is_planned else None,
        not_before_at=spread,
        finished_at=None if decision.is_planned else now,
        deadline_at=None if deadline is None else start + timedelta(seconds=deadline),
        folded_count=further,
    )


def _folded(decisions: Sequence[Decision]) -> Iterator[tuple[Decision, int]]:
    """Neighbours with the same outcome and reason as one, with the number of further ones it stands for."""
    for (state, _, _), same in groupby(decisions, key=lambda one: (one.state, one.reason, one.reason_text)):
        group = list(same)
        if state == State.PLANNED:
            yield from ((decision, 0) for decision in group)
        else:
            yield group[0], len(group) - 1


def _jitter(schedule: Schedule, due_at: datetime) -> datetime:
    """A random moment within the schedule's spread, always before its next due time."""
    following = schedule.timing.upcoming(due_at, 1)
    longest = float(schedule.jitter_seconds)
    if following:
        longest = min(longest, (following[0] - due_at).total_seconds() - 1)
    return due_at + timedelta(milliseconds=secrets.randbelow(max(1, int(longest * 1000))))


def _give_calendars(schedules: Sequence[Schedule]) -> None:
    """One query for the calendars of the whole batch."""
    numbers = {schedule.calendar_id for schedule in schedules if schedule.calendar_id is not None}
    if not numbers:
        return
    calendars = HolidayCalendar.objects.in_bulk(numbers)
    for schedule in schedules:
        if schedule.calendar_id is not None:
            schedule.calendar = calendars.get(schedule.calendar_id)


def _unfinished(schedule_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """(waiting, running) per schedule."""
    counts: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    found = (
        Run.objects.filter(schedule_id__in=list(schedule_ids), finished_at__isnull=True, state__in=OPEN)
        .order_by()
        .values_list("schedule_id", "state")
        .annotate(Count("id"))
    )
    for schedule_id, state, count in found:
        waiting, running = counts[schedule_id]
        counts[schedule_id] = (waiting, running + count) if state == State.RUNNING else (waiting + count, running)
    return counts


def locked(schedules: models.QuerySet[Schedule]) -> models.QuerySet[Schedule]:
    """The rows locked for this transaction; rows that another beat holds are left to it."""
    return skip_locked(schedules.annotate(joined_name=F("periodic_task__name")))


def _write_back(moves: Sequence[_Outcome], now: datetime) -> None:
    """One statement for the whole batch and each table."""
    for outcome in moves:
        schedule = outcome.schedule
        schedule.cursor_at, schedule.next_due_at = outcome.cursor_at, outcome.next_due_at
        schedule.skip_at, schedule.broken_reason = outcome.skip_at, outcome.broken_reason
    moved = [outcome.schedule for outcome in moves]
    columns = ("cursor_at", "next_due_at", "planned_count", "skip_at", "broken_reason")
    bulk.update_by_id(
        Schedule, [schedule.pk for schedule in moved], {name: [getattr(row, name) for row in moved] for name in columns}
    )
    # The stock counters are what stock tools show; ours are the ledger.
    by_count: dict[int, list[int]] = defaultdict(list)
    for outcome in moves:
        if outcome.planned:
            by_count[outcome.planned].append(outcome.schedule.periodic_task_id)
    for count, task_ids in by_count.items():
        PeriodicTask.objects.filter(pk__in=task_ids).update(
            last_run_at=now, total_run_count=F("total_run_count") + count
        )
