"""A real mail server, and the path of a report from its run to the mails: performed as workers would, on a clock of ours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Q

from reports import mailing, telling
from reports.models import ReportDefinition, ReportDelivery, ReportRecipient, ReportRun
from runs import clock, ledger
from runs.models import Run
from runs.states import WAITING, Trigger
from schedules.tasks import run_job
from tests.newsletters.smtp_server import Received, SmtpServer

PUBLIC_URL = "https://news.example.org"
DUE = datetime.fromisoformat("2026-11-19T09:00:00+01:00")
OURS = (mailing.KIND, telling.KIND)


class House:
    """Makes reports, and lets the workers do what is due."""

    def __init__(self, server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self._ahead = timedelta(0)
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + self._ahead)

    def make(self, definition: ReportDefinition, asked_by: User | None = None, **parameters: Any) -> Run:
        """One making of the report by a worker; the mails that follow are only planned."""
        run = ledger.plan(
            ledger.NewRun(
                kind="report", target_id=definition.pk, target_label=str(definition), trigger=Trigger.MANUAL, due_at=DUE,
                queue="reports", requested_by=asked_by, parameters=parameters,
            )
        )  # fmt: skip
        run_job(run.pk)
        run.refresh_from_db()
        return run

    def send(self, definition: ReportDefinition, **values: Any) -> ReportRun:
        """A report that is made and mailed."""
        run = self.make(definition, **values)
        self.work()
        return ReportRun.objects.get(run_id=run.pk)

    def work(self) -> list[Run]:
        """Performs everything that is due by now; returns the runs in their order."""
        done = []
        while (run := self._due().order_by("pk").first()) is not None:
            run_job(run.pk)
            run.refresh_from_db()
            done.append(run)
            assert len(done) < 50, "this never ends"
        return done

    def later(self, **span: float) -> list[Run]:
        """Lets time pass, and then works."""
        self._ahead += timedelta(**span)
        return self.work()

    def to(self, address: str) -> list[Received]:
        return [one for one in self.server.received if one.recipient == address]

    def _due(self) -> Any:
        may_start = Q(not_before_at=None) | Q(not_before_at__lte=clock.now())
        return Run.objects.filter(may_start, kind__in=OURS, state__in=WAITING)


def goes_to(definition: ReportDefinition, *whom: Any) -> None:
    """Adds recipients: users, groups, or addresses outside."""
    for one in whom:
        name = "address" if isinstance(one, str) else "user" if isinstance(one, User) else "group"
        ReportRecipient.objects.create(definition=definition, **{name: one})


def states(report_run: ReportRun | None = None) -> dict[str, str]:
    """What became of each mail, by address."""
    mails = ReportDelivery.objects.filter(channel=ReportDelivery.Channel.MAIL)
    mails = mails.filter(report_run=report_run) if report_run is not None else mails
    return {one.address or str(one.user): one.state for one in mails.select_related("user")}
