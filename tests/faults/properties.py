"""T12: the ledger's state machine and the evaluator's oracle, searched for longer than in the suite."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys

from tests.faults.house import House
from tests.faults.results import Counts, Result
from tests.integration.stack import ROOT

SEARCHES = (
    ("tests/runs/test_ledger_machine.py", "LEDGER_EXAMPLES"),
    ("tests/schedules/test_cron_oracle.py", "CRON_EXAMPLES"),
)
SECONDS_PER_EXAMPLE = 0.6
MOST_AT_ONCE = 500
"""One transaction holds all examples of a search, and what they leave behind in it makes PostgreSQL slower and slower."""


def _slices(examples: int) -> list[tuple[int, int]]:
    """(seed, how many) of each search."""
    return [(begin, min(MOST_AT_ONCE, examples - begin)) for begin in range(0, examples, MOST_AT_ONCE)]


def searched(house: House, counts: Counts) -> Result:
    """T12: random orders of events, and random patterns, zones and instants; no counter-example may be found."""
    found = []
    for (path, variable), (seed, examples) in itertools.product(SEARCHES, _slices(counts.examples)):
        environment = {
            # Not the harness's own short lease: the model counts with the product's.
            **{name: value for name, value in os.environ.items() if name not in ("LEASE_SECONDS", "REPUBLISH_SECONDS")}, "DJANGO_SETTINGS_MODULE": "tests.settings", variable: str(examples),
            "DATA_DIR": str(house.directory), "BROKER_URL": "memory://",
        }  # fmt: skip
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=0", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", path],
                cwd=ROOT, env=environment, capture_output=True, text=True,
                timeout=300 + examples * SECONDS_PER_EXAMPLE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            found.append(f"{path} did not end (seed {seed})")
            continue
        if done.returncode:
            found.append(f"{path} (seed {seed}): {re.sub(r'[^ -~]+', ' ', done.stdout[-2500:])}")
    return Result(
        id="T12",
        fault="random orders of events against a model of the ledger; random patterns against a brute-force calendar",
        counts=f"{counts.examples} examples each",
        ours={"examples": counts.examples * len(SEARCHES), "counter-examples": len(found)},
        bar="no counter-example",
        ok=not found,
        notes=found,
    )
