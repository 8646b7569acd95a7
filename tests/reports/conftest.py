"""Report definitions, runs that are claimed as a worker claims them, and a folder for files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from reports import services
from reports.drafts import ReportDraft
from reports.models import ReportDefinition
from runs import clock, ledger
from runs.models import Run
from runs.states import Trigger
from runs.tasks import RunContext

# Thursday; last week in Berlin is Monday 9 to Sunday 15 November.
DUE = datetime.fromisoformat("2026-11-19T09:00:00+01:00")


@pytest.fixture(autouse=True)
def files_dir(tmp_path: Path, settings: Any) -> Path:
    settings.FILES_DIR = tmp_path
    return tmp_path / "reports"


@pytest.fixture
def define(db: None) -> Callable[..., ReportDefinition]:
    def make(**changes: Any) -> ReportDefinition:
        values: dict[str, Any] = {"name": "Numbers", "data_set": "deliveries_per_day", "time_zone": "Europe/Berlin"}
        return services.create_definition(None, ReportDraft(**{**values, **changes}))

    return make


@pytest.fixture
def definition(define: Callable[..., ReportDefinition]) -> ReportDefinition:
    return define()


@pytest.fixture
def claim() -> Callable[..., RunContext]:
    """A run of the definition that a worker has claimed; called again with the run, its next attempt."""

    def make(
        definition: ReportDefinition | None = None, run: RunContext | None = None, due_at: datetime = DUE, **values: Any
    ) -> RunContext:
        if run is None:
            assert definition is not None
            planned = ledger.plan(
                ledger.NewRun(
                    kind="report", target_id=definition.pk, target_label=str(definition), trigger=Trigger.MANUAL,
                    queue="reports", **values,
                )
            )  # fmt: skip
            Run.objects.filter(pk=planned.pk).update(due_at=due_at)
            run_id = planned.pk
        else:
            run_id = run.id
            long_ago = clock.now().replace(year=2020)
            Run.objects.filter(pk=run_id).update(lease_until=long_ago)
        claimed = ledger.claim(run_id, "test worker")
        assert claimed is not None
        return RunContext(claimed)

    return make


@pytest.fixture
def staff(db: None) -> Callable[..., User]:
    """A member of staff with the given permissions ("app.codename")."""

    def make(name: str, *permissions: str) -> User:
        user = User.objects.create_user(name, password="secret", is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    def make(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return make
