"""Every test of the harness by its id."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import (
    beat_crashes,
    broker_faults,
    database_faults,
    many_beats,
    network_faults,
    properties,
    races,
    sending_crashes,
    worker_crashes,
)
from tests.faults.house import House
from tests.faults.results import Counts, Result

TESTS: dict[str, Callable[[House, Counts], Result]] = {
    "T1": broker_faults.broker_away,
    "T2": beat_crashes.killed_at_each_point,
    "T3": broker_faults.broker_forgets,
    "T4": many_beats.many_beats,
    "T5": worker_crashes.killed_under_load,
    "T6": network_faults.network_broken,
    "T7": worker_crashes.frozen_and_woken,
    "T10": database_faults.database_faults,
    "T11": broker_faults.memory_full,
    "T12": properties.searched,
    "T14": races.everyone_at_once,
    "N2": sending_crashes.killed_while_sending,
    "N6": sending_crashes.paused_at_random,
}
