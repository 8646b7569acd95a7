"""The order of the tests: files that start real processes first, so that none of them is left to one worker at the end."""

from __future__ import annotations

import pytest

LONG = (
    "tests/integration/test_house.py", "tests/browser/test_walk.py", "tests/integration/test_faults.py",
    "tests/schedules/test_cron_oracle.py", "tests/browser/test_calendar_overview.py", "tests/site/test_up.py",
    "tests/integration/test_watchdog.py", "tests/browser/", "tests/schedules/test_cron_words_oracle.py",
    "tests/newsletters/test_kill.py", "tests/newsletters/test_sending_correctly.py", "tests/integration/",
    "tests/newsletters/test_stopping_workers.py", "tests/newsletters/test_import_kill.py",
    "tests/runs/test_ledger_machine.py", "tests/site/test_query_counts.py", "tests/site/test_doors.py",
)  # fmt: skip
"""By the time they take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A stable sort: within a file, and among the short ones, the order stays."""
    items.sort(key=lambda item: next((n for n, begin in enumerate(LONG) if item.nodeid.startswith(begin)), len(LONG)))
