"""The order of the tests, and which go to the same process: those that take longest begin first."""

from __future__ import annotations

import pytest

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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A stable sort: within a file, and among the short ones, the order stays."""
    items.sort(key=lambda item: next((n for n, begin in enumerate(LONG) if item.nodeid.startswith(begin)), len(LONG)))
    walks = sorted({item.path for item in items if item.nodeid.startswith("tests/browser/")})
    for item in items:
        file = item.nodeid.partition("::")[0]
        group = f"browser {walks.index(item.path) % HOUSES}" if item.path in walks else file
        item.add_marker(pytest.mark.xdist_group(group))
