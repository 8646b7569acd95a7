"""T2: a beat is killed at each place between two statements where a crash would be worst."""

from __future__ import annotations

import os
import signal
import time

from runs import failpoints
from runs.models import Run
from runs.states import WAITING
from schedules.models import Schedule
from tests.faults import stock
from tests.faults.house import House, away_from_database, within
from tests.faults.invariants import judge
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable

POINTS = ("before_insert", "after_insert", "before_commit", "after_commit", "before_publish", "after_publish")
SCHEDULES = 2
"""Due at each crash."""


def killed_at_each_point(house: House, counts: Counts) -> Result:
    """A child does what one tick of beat does until it is killed; a second beat goes on behind it."""
    timetable = Timetable()
    killed = 0
    for point in POINTS:
        for _ in range(counts.crashes):
            timetable.once(SCHEDULES)
            killed += _crash(house, point)
            with house.producer() as producer:
                house.clean_pass(producer)
    house.start_worker()
    with house.producer() as producer:

        def sent_and_claimed() -> bool:
            house.clean_pass(producer)
            return not Run.objects.filter(state__in=WAITING).exists()

        within(60 + len(timetable.expected) / 2, sent_and_claimed)
    verdict = judge(house, timetable, 30)
    tries = len(POINTS) * counts.crashes
    still_due = Schedule.objects.filter(next_due_at__isnull=False).count()
    return Result(
        id="T2",
        fault="kill -9 of a beat at " + ", ".join(point.replace("_", " ") for point in POINTS),
        counts=f"{len(POINTS)} × {counts.crashes}",
        ours={"kills": killed, **verdict.figures()},
        stock=stock.beat_killed(house, 20) if counts.with_stock else None,
        bar="0 lost, 0 double",
        ok=verdict.ok and killed == tries and still_due == 0 and verdict.attempts == len(timetable.expected),
    )


def _crash(house: House, point: str) -> bool:
    """Whether the fail point was reached and killed the beat."""
    with away_from_database():
        pid = os.fork()
        if pid == 0:
            _tick_until_killed(house, point)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def _tick_until_killed(house: House, point: str) -> None:
    """Runs in the child; never returns, and never runs the parent's clean-up."""
    try:
        failpoints.arm(point)
        with house.producer() as producer:
            house.clean_pass(producer)
    finally:
        os._exit(1)
