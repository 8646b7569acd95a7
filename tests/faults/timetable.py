"""Schedules of the harness, and the due times that they must have: computed from the arguments, never from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Q
from django_celery_beat.models import ClockedSchedule, IntervalSchedule, PeriodicTask

from runs import clock
from schedules import planner
from schedules.models import OutsideEdit, Schedule
from schedules.tasks import TASK
from tests.faults.jobs import KIND


@dataclass
class Timetable:
    """The occurrences that a test expects: (schedule, due time)."""

    expected: set[tuple[int, datetime]] = field(default_factory=set)

    @property
    def schedules(self) -> set[int]:
        return {schedule for schedule, _ in self.expected}

    def due_until(self, moment: datetime) -> set[tuple[int, datetime]]:
        return {(schedule, due) for schedule, due in self.expected if due <= moment}

    def every(self, count: int, *, seconds: int, lasting: float, work: str = "work 50 ms") -> list[int]:
        """``count`` schedules, each due every so many seconds for so long, starting one interval from now."""
        now = clock.now()
        ends = now + timedelta(seconds=lasting)
        ids = _add(
            Schedule(
                mode="interval", every_seconds=seconds, anchor_at=now, cursor_at=now, ends_at=ends, kind=KIND,
                target_id=target(work), overlap="allow", missed="all",
            )
            for _ in range(count)
        )  # fmt: skip
        times = [now + timedelta(seconds=n) for n in range(seconds, int(lasting) + 1, seconds)]
        self.expected |= {(schedule, due) for schedule in ids for due in times}
        return ids

    def in_turn(self, count: int, *, step: float, lasting: float, work: str) -> list[int]:
        """``count`` schedules, each due every minute, one after another with ``step`` seconds between."""
        now = clock.now()
        ends = now + timedelta(seconds=lasting)
        minute = timedelta(minutes=1)
        firsts = [now + timedelta(seconds=step * (n + 1)) for n in range(count)]
        ids = _add(
            Schedule(
                mode="interval", every_seconds=60, anchor_at=first - minute, cursor_at=now, ends_at=ends, kind=KIND,
                target_id=target(work), overlap="allow",
            )
            for first in firsts
        )  # fmt: skip
        for schedule, first in zip(ids, firsts, strict=True):
            due = first
            while due <= ends:
                self.expected.add((schedule, due))
                due += minute
        return ids

    def once(self, count: int, *, after: float = 0.0, work: str = "work 50 ms") -> list[int]:
        """``count`` schedules due once, that many seconds from now; 0 is due already."""
        now = clock.now()
        due = now + timedelta(seconds=after)
        ids = _add(
            Schedule(
                mode="once", once_at=due, cursor_at=now - timedelta(seconds=1), kind=KIND,
                target_id=target(work), overlap="allow",
            )
            for _ in range(count)
        )  # fmt: skip
        self.expected |= {(schedule, due) for schedule in ids}
        return ids


def target(work: str) -> int:
    group, _ = Group.objects.get_or_create(name=work)
    return int(group.pk)


def _add(schedules: Iterable[Schedule]) -> list[int]:
    """Writes the schedules and stock rows that say the same, as the services do, but many at once."""
    rows = list(schedules)
    first = PeriodicTask.objects.count()
    with transaction.atomic():
        tasks = PeriodicTask.objects.bulk_create(
            (
                PeriodicTask(
                    name=f"fault {first + n}", task=TASK, one_off=row.mode == Schedule.Mode.ONCE, **_stock(row)
                )
                for n, row in enumerate(rows)
            ),
            batch_size=1000,
        )
        for row, task in zip(rows, tasks, strict=True):
            row.periodic_task = task
            planner.aim(row, row.cursor_at)
        ids = [row.pk for row in Schedule.objects.bulk_create(rows, batch_size=500)]
        OutsideEdit.objects.filter(
            Q(schedule_id__in=ids) | Q(periodic_task_id__in=[task.pk for task in tasks])
        ).delete()
    return ids


def _stock(row: Schedule) -> dict[str, Any]:
    if row.mode == Schedule.Mode.ONCE:
        clocked = ClockedSchedule.objects.filter(clocked_time=row.once_at).first()
        return {"clocked": clocked or ClockedSchedule.objects.create(clocked_time=row.once_at)}
    interval = {"every": row.every_seconds, "period": IntervalSchedule.SECONDS}
    return {
        "interval": IntervalSchedule.objects.filter(**interval).first() or IntervalSchedule.objects.create(**interval)
    }
