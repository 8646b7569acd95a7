"""T4: several beats at once, with wrong clocks, and one of them frozen for a while."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from runs.models import Heartbeat
from tests.faults import stock
from tests.faults.house import START_SECONDS, House
from tests.faults.invariants import judge
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable
from tests.integration.stack import wait_until

SKEW_SECONDS = 90
LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1")


def many_beats(house: House, counts: Counts) -> Result:
    """T4: three beats plan the same schedules; two of them have wrong clocks, one is stopped and goes on."""
    timetable = Timetable()
    library = faketime_library()
    house.start_beat()
    for skew in (SKEW_SECONDS, -SKEW_SECONDS):
        if library:
            house.preload = {"LD_PRELOAD": library, "FAKETIME": f"{skew:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        house.start_beat()
        house.preload = {}
    house.up(beats=0)
    wait_until(lambda: Heartbeat.objects.filter(role="beat").count() == 3, START_SECONDS, f"3 beats: {house.tail()}")
    timetable.every(6, seconds=1, lasting=counts.freeze_seconds + 5)
    time.sleep(2)
    frozen = house.processes[0]
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        time.sleep(counts.freeze_seconds)
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    verdict = judge(house, timetable, 90)
    clocks = f"clocks {SKEW_SECONDS} s apart both ways" if library else "clocks right: libfaketime is not installed"
    return Result(
        id="T4",
        fault="three beats at once, one frozen and woken",
        counts=f"{counts.freeze_seconds:g} s frozen; {clocks}",
        ours=verdict.figures(attempts=verdict.attempts),
        stock=stock.three_beats(house) if counts.with_stock else None,
        bar="0 lost, 0 double",
        ok=verdict.ok,
    )


def faketime_library() -> str:
    """Where libfaketime is: FAKETIME_LIBRARY, or where Debian and Fedora put it; empty when it is nowhere."""
    given = os.environ.get("FAKETIME_LIBRARY", "")
    found = [str(path) for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return given or next(iter(found), "")
