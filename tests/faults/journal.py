"""What really happened, written by the jobs themselves to a file: the ledger is not its own witness.

One line per event, ``event run attempt pid group seconds``; a line is one short append, which no other process can split.
Seconds are the machine's monotonic clock, the same in every process.
"""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

VARIABLE = "FAULT_JOURNAL"


@dataclass(frozen=True)
class Event:
    """One line."""

    name: str
    """start, end (the job's effect), fenced (it was told that it lost its run), left (it stopped), killed."""
    run: int
    attempt: int
    pid: int
    group: int
    at: float


def note(
    path: str, name: str, run: int = 0, attempt: int = 0, pid: int | None = None, group: int | None = None
) -> None:
    """Appends one event of this process, or of the one named."""
    pid = os.getpid() if pid is None else pid
    group = os.getpgid(0) if group is None else group
    line = f"{name} {run} {attempt} {pid} {group} {time.monotonic():.4f}\n".encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


class Journal:
    """Reads the file and answers for what it says."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, *names: str) -> list[Event]:
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text().splitlines():
            name, run, attempt, pid, group, at = line.split()
            if not names or name in names:
                found.append(Event(name, int(run), int(attempt), int(pid), int(group), float(at)))
        return found

    def starts(self) -> dict[int, list[Event]]:
        """The attempts begun, by run."""
        return _by_run(self.events("start"))

    def ended(self) -> set[int]:
        """The runs whose effect happened at least once."""
        return {event.run for event in self.events("end")}

    def effects(self) -> dict[int, int]:
        """How often each run's effect happened."""
        return {run: len(events) for run, events in _by_run(self.events("end")).items()}

    def overlapping(self) -> list[int]:
        """Runs with two attempts at work at the same time; one that was fenced off had no effect and is left out."""
        events = self.events()
        killed = [event for event in events if event.name == "killed"]
        ends: dict[tuple[int, int], Event] = {}
        for event in events:
            if event.name in ("end", "fenced", "left"):
                ends[event.run, event.attempt] = event
        spans: dict[int, list[tuple[float, float]]] = defaultdict(list)
        for start in events:
            if start.name != "start":
                continue
            end = ends.get((start.run, start.attempt))
            if end is not None and end.name == "fenced":
                continue
            until = end.at if end is not None else _death(start, killed)
            spans[start.run].append((start.at, until))
        return [run for run, found in spans.items() if _overlap(sorted(found))]

    def busy(self, worker: int) -> int:
        """The process of this worker (a process or a group) that is in the middle of an attempt now; 0 for none.

        Reads only the end of the file: it is asked many times a second.
        """
        if not self.path.exists():
            return 0
        with self.path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode().splitlines()[1:]
        under_way: dict[tuple[str, str], int] = {}
        for line in lines:
            name, run, attempt, pid, group, _ = line.split()
            if name == "start" and str(worker) in (pid, group):
                under_way[run, attempt] = int(pid)
            elif name != "start":
                under_way.pop((run, attempt), None)
        return next(iter(under_way.values()), 0)

    def restarts(self) -> list[float]:
        """Seconds from the death of each attempt that was killed to the start of the next attempt of its run."""
        killed = self.events("killed")
        ended = {(event.run, event.attempt) for event in self.events("end", "fenced", "left")}
        waits = []
        for attempts in self.starts().values():
            for first, second in pairwise(attempts):
                death = _death(first, killed)
                if (first.run, first.attempt) not in ended and death < math.inf:
                    waits.append(max(0.0, second.at - death))
        return waits


def _by_run(events: Iterable[Event]) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.at):
        found[event.run].append(event)
    return found


def _death(start: Event, killed: list[Event]) -> float:
    """When the process that began this attempt was killed; never, if it was not."""
    deaths = [
        event.at
        for event in killed
        if event.at >= start.at and (event.pid == start.pid or (event.group and event.group == start.group))
    ]
    return min(deaths, default=math.inf)


def _overlap(spans: list[tuple[float, float]]) -> bool:
    return any(second[0] < first[1] for first, second in pairwise(spans))
