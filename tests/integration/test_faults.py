"""The faults of ``python -m tests.faults`` in small numbers, on the database that the suite runs on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.db import connection

from schedules import kinds
from tests.faults import catalogue, jobs, results
from tests.faults.house import House
from tests.integration.conftest import database_url

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

ELSEWHERE = {"T12"}
"""Searches that are tests of the suite themselves."""
ON_SQLITE = {"T2", "T5", "T10", "N2"}
"""What a database with one writer does in its own way; the suite tries the others on PostgreSQL, `make faults` all on both."""


@pytest.fixture
def house(transactional_db: None, tmp_path: Path, settings: LazySettings) -> Iterator[House]:
    """Valkey is up, the harness's kind of job is known, and this process waits as briefly as the house's own."""
    settings.LEASE_SECONDS, settings.REPUBLISH_SECONDS = 4, 3
    environment = {
        "SECRET_KEY": django_settings.SECRET_KEY,
        "FILES_URL": str(django_settings.FILES_DIR),
        "PUBLIC_URL": django_settings.PUBLIC_URL,
    }
    jobs.register()
    try:
        with House(tmp_path, environment, database_url()) as running:
            yield running
            print(running.tail())  # pytest shows it when the test fails
    finally:
        kinds._registry.pop(jobs.KIND, None)


@pytest.mark.parametrize("key", [key for key in catalogue.TESTS if key not in ELSEWHERE])
def test_the_bar_is_held(request: pytest.FixtureRequest, key: str) -> None:
    if connection.vendor == "sqlite" and key not in ON_SQLITE:
        pytest.skip("in the suite on PostgreSQL, in `make faults` on both")
    house = request.getfixturevalue("house")
    result = catalogue.TESTS[key](house, results.QUICK)
    assert result.ok, (
        f"{result.fault}: {results.words(result.ours)}; the bar is: {result.bar}. {' '.join(result.notes)}"
    )
