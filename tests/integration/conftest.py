"""Starts the real stack on the database that the test runs on (SQLite file or PostgreSQL)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from tests.integration.stack import Stack


def database_url() -> str:
    """The test database of this process, as its children have to name it."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(database['NAME']))}"
    host = str(database["HOST"] or database.get("OPTIONS", {}).get("host", ""))
    user, password = quote(str(database["USER"])), quote(str(database["PASSWORD"]))
    credentials = f"{user}:{password}" if password else user
    if host.startswith("/"):
        return f"postgres://{credentials}@/{database['NAME']}?host={quote(host)}&port={database['PORT'] or 5432}"
    return f"postgres://{credentials}@{host}:{database['PORT'] or 5432}/{database['NAME']}"


@pytest.fixture
def stack(transactional_db: None, tmp_path: Path) -> Iterator[Stack]:
    """Valkey and the mail server are up; the test starts the beats and workers it wants."""
    environment = {
        "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY,
        "FILES_URL": str(settings.FILES_DIR),
        "PUBLIC_URL": settings.PUBLIC_URL,
        "LEASE_SECONDS": "4",
        "REPUBLISH_SECONDS": "3",
    }
    with Stack(tmp_path, environment) as running:
        yield running
        print(running.logs()[-20_000:])  # pytest shows it when the test fails
