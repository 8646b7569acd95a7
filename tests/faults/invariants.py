"""What must hold after every fault, counted in SQL and in the jobs' own journal."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from runs.models import Run
from runs.states import FINAL, OPEN, State, Trigger
from tests.faults.house import House, within
from tests.faults.timetable import Timetable


@dataclass(frozen=True)
class Verdict:
    """The figures of one test."""

    due: int
    lost: int
    """Due times without a row, and successes whose effect never happened."""
    waiting: int
    """Rows that had not ended when the test's time was over."""
    doubled: int
    """Due times with two rows, and runs whose effect happened twice."""
    overlapping: int
    """Runs with two attempts at work at the same time."""
    unexplained: int
    """Rows that are neither a success nor carry a reason, and rows that nothing asked for."""
    attempts: int
    settled_s: float
    """Until every run had ended, counted from the end of the fault; as long as we waited when some had not."""

    @property
    def ok(self) -> bool:
        return not (self.lost or self.waiting or self.overlapping or self.unexplained or self.doubled)

    def figures(self, **more: float) -> dict[str, float]:
        waiting = {"still waiting": self.waiting} if self.waiting else {}
        return {
            "due": self.due, "lost": self.lost, **waiting, "double": self.doubled, "overlapping": self.overlapping, **more,
        }  # fmt: skip


def judge(house: House, timetable: Timetable, wait: float, *, repeats_allowed: bool = False) -> Verdict:
    """Waits until every run has ended, at most ``wait`` seconds, and counts.

    A worker killed between a job's effect and its record must repeat the job; with ``repeats_allowed`` such a repeat,
    which never overlaps, is no double.
    """
    began = time.monotonic()
    within(wait, lambda: all_ended(timetable))
    settled = time.monotonic() - began
    rows = list(_rows(timetable.schedules))
    states = {(row.schedule_id, row.due_at): row for row in rows}
    ended = house.journal.ended()
    lost = sum(1 for key in timetable.expected if key not in states)
    lost += sum(1 for row in rows if row.state == State.SUCCEEDED and row.pk not in ended)
    doubled = _doubles()
    if not repeats_allowed:
        doubled += sum(1 for count in house.journal.effects().values() if count > 1)
    unexplained = sum(1 for row in rows if row.state in FINAL and row.state != State.SUCCEEDED and not row.reason)
    unexplained += sum(1 for key in states if key not in timetable.expected)
    return Verdict(
        due=len(timetable.expected),
        lost=lost,
        waiting=sum(1 for row in rows if row.state in OPEN),
        doubled=doubled,
        overlapping=len(house.journal.overlapping()),
        unexplained=unexplained,
        attempts=sum(row.attempt for row in rows),
        settled_s=settled,
    )


def all_ended(timetable: Timetable) -> bool:
    rows = Run.objects.filter(trigger=Trigger.SCHEDULE)
    return rows.count() >= len(timetable.expected) and not rows.filter(state__in=OPEN).exists()


def run_ids(due: Iterable[tuple[int, datetime]]) -> set[int]:
    """The runs of these occurrences."""
    wanted = set(due)
    found = Run.objects.filter(trigger=Trigger.SCHEDULE).values_list("pk", "schedule_id", "due_at")
    return {pk for pk, schedule, moment in found if (schedule, moment) in wanted}


def _rows(schedules: set[int]) -> Iterable[Run]:
    rows = Run.objects.filter(trigger=Trigger.SCHEDULE).only("schedule_id", "due_at", "state", "reason", "attempt")
    return (row for row in rows if row.schedule_id in schedules)


def _doubles() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM runs_run WHERE trigger = 'schedule'"
            " GROUP BY schedule_id, due_at HAVING count(*) > 1) AS doubled"
        )
        (count,) = cursor.fetchone()
    return int(count)
