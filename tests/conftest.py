"""The order of the tests, and which go to the same process: those that take longest begin first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# How long an example takes says how busy the computer is, and not whether it holds.
settings.register_profile("almanac", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("almanac")

LONG = (
    "tests/browser/", "tests/integration/test_house.py", "tests/integration/test_faults.py",
    "tests/schedules/test_cron_oracle.py", "tests/site/test_up.py", "tests/integration/test_watchdog.py",
    "tests/schedules/test_cron_words_oracle.py", "tests/newsletters/test_helping.py", "tests/newsletters/test_kill.py",
    "tests/newsletters/test_sending_correctly.py", "tests/integration/", "tests/newsletters/test_stopping_workers.py",
    "tests/newsletters/test_import_kill.py", "tests/runs/test_ledger_machine.py", "tests/site/test_query_counts.py",
    "tests/site/test_doors.py",
)  # fmt: skip
"""By the time they take."""
HOUSES = 2
"""Browser walks share so many houses: a house of its own for each process would take more time than the walks."""
_WALKS = [file.name for file in sorted(Path(__file__).parent.glob("browser/test_*.py"))]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A stable sort: within a file, and among the short ones, the order stays."""
    items.sort(key=lambda item: next((n for n, begin in enumerate(LONG) if item.nodeid.startswith(begin)), len(LONG)))


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """The tests of a file go to one process, and walks to one of those that have a house.

    (Marks of the group "xdist_group" do not arrive with pytest 9.2: pytest-xdist's issue 1386.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith("tests/browser/"):
            return file
        return f"house {_WALKS.index(Path(file).name) % HOUSES}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    """Called by pytest-xdist where there are several processes."""
    return _ByFile(config, log)
