"""Every list and page of the admin asks the database as often for a thousand rows as for ten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cleanup.models import ArchivePart, CleanupPolicy, CleanupRun
from newsletters.models import Delivery, Image, Issue, List, Subscriber
from reports.models import ReportRun
from runs.models import Alert, AuditEntry, Run
from scheduler_site import feed, urls
from schedules.models import Schedule
from tests.site.doors import READS
from tests.site.many_rows import ROWS
from tests.site.test_doors import addresses

pytestmark = pytest.mark.django_db
FEW, MANY = 10, 1000

PAGES: dict[str, tuple[type[Model], Callable[[], list[object]]]] = {
    # the page, the rows that it gathers, and what its address names
    "admin:index": (Run, list), "admin:overview_live": (Schedule, list), "admin:search": (Schedule, list),
    "admin:calendar": (Run, list), "admin:calendar_this_week": (Schedule, list),
    "admin:calendar_month": (Schedule, lambda: [2027, 1]), "admin:calendar_week": (Run, lambda: [2026, 11, 21]),
    "admin:calendar_day": (Schedule, lambda: [2027, 1, 1]), "calendar_ics": (Schedule, lambda: [feed.create_feed(User.objects.get(username="boss"))]),
    "admin:queues": (Run, list), "admin:queues_live": (Run, list), "admin:calendar_feed": (Schedule, list),
    "admin:schedules_schedule_detail": (Run, lambda: [_first(Schedule)]),
    "admin:runs_run_change": (Run, lambda: [_first(Run)]), "admin:runs_run_log": (Run, lambda: [_first(Run)]),
    "admin:runs_alert_change": (Alert, lambda: [_first(Alert)]),
    "admin:runs_auditentry_change": (AuditEntry, lambda: [_first(AuditEntry)]),
    "admin:newsletters_issue_change": (Delivery, lambda: [_first(Issue)]),
    "admin:newsletters_issue_recipients": (Delivery, lambda: [_first(Issue)]),
    "admin:newsletters_subscriber_detail": (Subscriber, lambda: [_first(Subscriber)]),
    "admin:newsletters_image_pick": (Image, list), "admin:sign_up_form": (List, list),
    "admin:reports_reportrun_change": (ReportRun, lambda: [_first(ReportRun)]),
    "admin:cleanup_cleanuppolicy_detail": (ArchivePart, lambda: [_first(CleanupPolicy)]),
    "admin:cleanup_cleanuprun_change": (ArchivePart, lambda: [_first(CleanupRun)]),
}  # fmt: skip
MORE = {"calendar_ics": 16}
"""Two queries for each of the eight days that it looks back to, on those days on which something ran."""
NOT_OF_ROWS = {
    "healthz", "readyz", "metrics", "admin:app_list", "admin:autocomplete", "admin:jsi18n", "admin:view_on_site",
    "admin:password_change_done", "admin:mailbox", "admin:mailbox_mail", "admin:mailbox_source",
    "admin:newsletters_image_file", "admin:reports_artefact_download", "reports:link_file", "admin:newsletters_image_change",
    "admin:newsletters_suppression_change", "admin:newsletters_delivery_change", "admin:reports_artefact_change",
    "admin:newsletters_feedbackmessage_change", "admin:cleanup_hold_change", "admin:cleanup_archivepart_change",
    "admin:cleanup_archivepart_download", "admin:newsletters_newsletter_checks",
    "admin:newsletters_newsletter_feed", "admin:newsletters_newsletter_feed_link", "newsletters:image", "newsletters:click", "newsletters:view",
    # Counted where their rows are made: test_import_views.py and test_archive.py.
    "admin:newsletters_importjob_change", "admin:newsletters_issue_add", "admin:newsletters_importjob_problems", "newsletters:archive",
    "newsletters:archive_feed", "newsletters:archive_issue", "newsletters:archive_newsletter",
    "newsletters:archive_newsletter_feed",
}  # fmt: skip
"""Pages of one thing, or of none in the database."""
assert urls.urlpatterns, "the admin's pages are registered with the addresses"
LISTS = {model: f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry}


def _first(model: type[Model]) -> object:
    return model._default_manager.order_by("pk").values_list("pk", flat=True)[0]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_every_list_and_every_page_that_shows_something_is_counted_here() -> None:
    assert set(admin.site._registry) == set(ROWS), "say in tests/site/many_rows.py what fills this list"
    shown = {name for name in READS if not name.endswith(("_changelist", "_history"))}
    assert shown == set(PAGES) | NOT_OF_ROWS, "say here what fills this page"
    listed = {name for name in addresses() if name.startswith("admin:") and name.endswith("_changelist")}
    assert listed == set(LISTS.values())


def asked(client: Client, url: str) -> int:
    """How many queries the page takes when nothing is remembered from before."""
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        answer: Any = client.get(url)
        if answer.streaming:
            b"".join(answer.streaming_content)
    assert answer.status_code == 200, answer.status_code
    return len(queries)


def counts(client: Client, model: type[Model], pages: Callable[[], list[str]]) -> tuple[list[int], list[int]]:
    """For each of the pages, with few and with many rows of the model."""
    ROWS[model](range(FEW))
    for url in pages():
        asked(client, url)  # templates and content types are known from here on
    few = [asked(client, url) for url in pages()]
    ROWS[model](range(FEW, MANY))
    return few, [asked(client, url) for url in pages()]


SEARCHES: dict[type[Model], str] = {Run: "name=e", AuditEntry: "search=a"}


@pytest.mark.parametrize("model", ROWS, ids=lambda model: str(model.__name__))
def test_a_list_whole_and_searched_asks_as_often_for_a_thousand_rows_as_for_ten(
    boss: Client, model: type[Model]
) -> None:
    has_search = bool(admin.site._registry[model].search_fields)
    url, search = reverse(LISTS[model]), SEARCHES.get(model, "q=1" if has_search else "o=1")
    few, many = counts(boss, model, lambda: [url, f"{url}?{search}"])
    assert many == few and max(few) <= 25


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_as_often_for_a_thousand_rows_as_for_ten(boss: Client, name: str) -> None:
    model, named = PAGES[name]
    for one in {Schedule, Run, Alert, AuditEntry, Issue} - {model}:
        ROWS[one](range(-1, 0))  # whatever the address names exists
    words = "?s=schedule" if name == "admin:search" else ""
    few, many = counts(boss, model, lambda: [reverse(name, args=named()) + words])
    assert many[0] <= few[0] + MORE.get(name, 0) and few[0] <= 40
