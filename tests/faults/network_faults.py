"""T6: the network between the processes and the broker goes silent, slow, thin, or breaks off in mid-answer."""

from __future__ import annotations

import time

from runs import clock
from tests.faults import stock
from tests.faults.broker_faults import last_claim
from tests.faults.house import House
from tests.faults.invariants import judge
from tests.faults.proxy import Proxy
from tests.faults.results import Counts, Result
from tests.faults.timetable import Timetable

RECOVER_SECONDS = 30
SETTLE_SECONDS = 90


def network_broken(house: House, counts: Counts) -> Result:
    """T6: every connection to the broker passes the proxy, which breaks them in one way after another."""
    timetable = Timetable()
    slowest = 0.0
    with Proxy(house.valkey.port) as proxy:
        house.broker_url = proxy.url
        house.up()
        for mode in counts.network_modes:
            timetable.every(3, seconds=1, lasting=counts.network_seconds + 4)
            time.sleep(2)
            proxy.set(mode)
            time.sleep(counts.network_seconds)
            proxy.set("heal")
            healed, now = time.monotonic(), clock.now()
            slowest = max(slowest, last_claim(house, timetable.due_until(now), SETTLE_SECONDS) - healed)
        verdict = judge(house, timetable, SETTLE_SECONDS)
        house.broker_url = ""
    return Result(
        id="T6",
        fault="half-open network to the broker: " + ", ".join(counts.network_modes),
        counts=f"{len(counts.network_modes)} × {counts.network_seconds:g} s",
        ours=verdict.figures(last_claim_after_healing_s=slowest),
        stock=stock.network_broken(house, "black hole", counts.network_seconds) if counts.with_stock else None,
        bar=f"0 lost, all claimed ≤ {RECOVER_SECONDS} s after healing",
        ok=verdict.ok and slowest <= RECOVER_SECONDS,
    )
