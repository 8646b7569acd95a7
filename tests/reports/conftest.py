"""Report definitions, runs that are claimed as a worker claims them, and a folder for files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from schedules import services as schedules
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from tests.newsletters.smtp_server import SmtpServer
from tests.reports.mail_house import PUBLIC_URL, House

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


@pytest.fixture
def reader(staff: Callable[..., User]) -> Callable[[str], User]:
    """A member of staff who may have reports, with an address."""

    def make(name: str) -> User:
        user = staff(name, "reports.view_artefact", "reports.download_artefact")
        User.objects.filter(pk=user.pk).update(email=f"{name}@example.org")
        return User.objects.get(pk=user.pk)

    return make


@pytest.fixture
def house(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[House]:
    server = SmtpServer().start()
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", server.port, 5
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.DEFAULT_FROM_EMAIL, settings.PUBLIC_URL = "City Desk <desk@example.org>", PUBLIC_URL
    settings.REPORT_DOMAINS, settings.LEASE_SECONDS = ["partner.example"], 3600
    yield House(server, monkeypatch)
    server.stop()


@pytest.fixture
def make_schedule() -> Callable[..., Schedule]:
    """A schedule that makes the report."""

    def make(definition: ReportDefinition, name: str, expression: str, *, paused: bool = False) -> Schedule:
        draft = ScheduleDraft.for_kind(
            "report", name=name, target_id=definition.pk, expression=expression, time_zone="Europe/Berlin"
        )
        schedule = schedules.create_schedule(None, draft)
        return schedules.pause_schedule(None, schedule.pk, reason="x") if paused else schedule

    return make
