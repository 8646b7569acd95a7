"""The reader's language of dates reaches every page that staff open, and their clock goes with it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from newsletters.models import Delivery, FeedbackMessage, Issue, Newsletter, Subscriber, Suppression
from reports.models import Artefact, ReportDefinition, ReportRun
from runs import alerts, clock, ledger
from runs.models import AuditEntry, Run, StaffSettings
from scheduler_site import demo
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule
from tests.site.test_pages import links

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 10, 7, 15, 55, tzinfo=UTC)  # a Wednesday in October: both are other words in German
MONTHS = "January|February|March|May|June|July|October|December|Mar|Oct|Dec"  # those that German writes otherwise
ENGLISH = re.compile(
    rf"\b\d{{1,2}} (?:{MONTHS})\b|\b(?:{MONTHS})\.? \d{{1,4}}\b"
    r"|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|\w+day) \d{1,2}\b|<abbr title=\"\w+day\""
)


@pytest.fixture
def house(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """The demo house on an autumn day, with a bit of everything that has a date, opened by somebody in Berlin."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    for name in ("demo_newsletters", "demo_reports", "demo_cleanup", "roles"):
        call_command("loaddata", name, verbosity=0)
    demo.load()
    boss = User.objects.create_superuser("boss", email="boss@example.org")
    StaffSettings.objects.create(user=boss, time_zone="Europe/Berlin", date_language="de")
    client.force_login(boss)
    return client


@pytest.fixture
def pages(house: Client) -> list[str]:
    """The sidebar's pages, and one page of each thing that has a page of its own."""
    schedule = Schedule.objects.get(periodic_task__name__startswith="Weekly letter")
    once = services.create_schedule(
        None, ScheduleDraft.for_kind(schedule.kind, name="Once", target_id=schedule.target_id, mode="once", once_at=NOW + timedelta(days=9))
    )  # fmt: skip
    services.pause_schedule(None, schedule.pk, reason="No paper", until=NOW + timedelta(days=3))
    run = _a_finished_run(schedule)
    alerts.raise_alert("test", "The mail server does not answer", schedule_id=schedule.pk)
    issue = Issue.objects.create(
        newsletter=Newsletter.objects.all()[0], scheduled_for=NOW - timedelta(hours=9), subject="News", state="sent"
    )
    reader = Subscriber.objects.all()[0]
    Delivery.objects.create(
        issue=issue, email=reader.email, email_norm=reader.email_norm, state=Delivery.State.SENT, sent_at=NOW, fence=1,
        subscriber=reader,
    )  # fmt: skip
    Suppression.objects.create(address_hash="x", email_norm="gone@example.org")
    feedback = FeedbackMessage.objects.create(text="Thank you", mailed_at=NOW)
    artefact = _a_report()
    own = {
        "schedules_schedule_detail": schedule, "schedules_schedule_change": once, "schedules_schedule_delete": schedule,
        "schedules_holidaycalendar_change": HolidayCalendar.objects.get(), "runs_run_change": run,
        "runs_auditentry_change": AuditEntry.objects.order_by("pk")[1], "newsletters_issue_change": issue,
        "newsletters_subscriber_change": reader, "newsletters_feedbackmessage_change": feedback,
        "newsletters_newsletter_change": issue.newsletter, "reports_reportrun_change": artefact.report_run,
        "reports_reportdefinition_change": ReportDefinition.objects.all()[0],
        "auth_user_change": User.objects.get(username="boss"),
    }  # fmt: skip
    detail = reverse("admin:schedules_schedule_detail", args=[schedule.pk])
    return [
        *links(), *(reverse(f"admin:{name}", args=[thing.pk]) for name, thing in own.items()),
        reverse("admin:calendar_week", args=[2026, 10, 7]), reverse("admin:calendar_day", args=[2026, 10, 12]), f"{detail}?tab=upcoming",
        f"{detail}?tab=changes", reverse("admin:newsletters_delivery_changelist"), reverse("admin:my_settings"),
    ]  # fmt: skip


def _a_finished_run(schedule: Schedule) -> Run:
    run = services.run_now(None, schedule.pk)
    claim = ledger.claim(run.pk, "worker@m1:1")
    assert claim is not None
    ledger.log(run.pk, "Looking for readers")
    ledger.fail(claim, "The mail server does not answer")
    return run


def _a_report() -> Artefact:
    made = ReportRun.objects.create(
        name="Deliveries", run_id=99, scheduled_for=NOW, period="5 to 6 October 2026, Europe/Berlin", state="succeeded",
        window_start=NOW.replace(day=4, hour=22, minute=0), window_end=NOW.replace(day=6, hour=22, minute=0),
        time_zone="Europe/Berlin",
    )  # fmt: skip
    return Artefact.objects.create(
        report_run=made, file_name="x.csv", byte_count=1, row_count=1, sha256="x", expires_at=NOW + timedelta(days=60)
    )


def test_no_page_writes_an_english_date_for_who_chose_german(house: Client, pages: list[str]) -> None:
    found: dict[str, Any] = {}
    for page in pages:
        answer = house.get(page, follow=True)
        assert answer.status_code == 200, page
        if written := ENGLISH.findall(answer.content.decode()):
            found[page] = written
    assert found == {}
    StaffSettings.objects.update(date_language="")
    for page in pages[-5:]:
        assert ENGLISH.search(house.get(page).content.decode()), f"the walk would miss an English date on {page}"


def test_the_times_of_every_page_are_the_readers_or_name_their_clock(house: Client, pages: list[str]) -> None:
    """The schedules of the demo follow Berlin's clock or none; a reader in Tokyo sees their own first."""
    StaffSettings.objects.update(time_zone="Asia/Tokyo", date_language="")
    run = reverse("admin:runs_run_change", args=[Run.objects.get().pk])
    html = house.get(run).content.decode()
    assert "Thu 8 Oct 2026, 00:55:00 JST" in html
    assert "Wed 7 Oct, 17:55 CEST on the schedule’s own clock" in html
    assert "Times are those of Asia/Tokyo" in html
    listed = house.get(reverse("admin:runs_run_changelist")).content.decode()
    assert "Thu 8 Oct 2026, 00:55 JST" in listed and "Wed 7 Oct, 17:55 CEST on its own clock" in listed
    log = b"".join(house.get(f"{run.removesuffix('change/')}log/")).decode()
    assert "+09:00 info Looking for readers" in log
