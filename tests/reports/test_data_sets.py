from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from cleanup.models import CleanupRun
from newsletters.models import Delivery, Issue, List, Newsletter, Subscriber, Subscription, Suppression
from reports.datasets import ours, registry
from reports.periods import Window
from runs.models import AuditEntry, Run
from tests.reports import data_sets
from tests.reports.data_sets import rows_of

pytestmark = pytest.mark.django_db

# Berlin: the night of 29 March 2026 has 23 hours.
WINDOW = Window(date(2026, 3, 27), date(2026, 4, 1), "Europe/Berlin")
NOON = datetime(2026, 3, 28, 11, tzinfo=timezone.utc)
BEFORE, AFTER = WINDOW.start - timedelta(seconds=1), WINDOW.end


def an_issue(number: int = 0, *, started_at: datetime | None = NOON, **values: Any) -> Issue:
    letter, _ = Newsletter.objects.get_or_create(name="City news", defaults={"subject": "News"})
    at = datetime(2026, 3, 1, tzinfo=timezone.utc) + timedelta(minutes=number)
    values = {"subject": f"News {number}", "state": "sent", "planned": 10, "sent": 8, **values}
    return Issue.objects.create(newsletter=letter, scheduled_for=at, started_at=started_at, **values)


def a_delivery(issue: Issue, number: int, **values: Any) -> Delivery:
    email = f"r{issue.pk}-{number}@example.org"
    return Delivery.objects.create(
        issue=issue, email=email, email_norm=email, **{"state": 3, "sent_at": NOON, **values}
    )


def a_reader(name: str, **values: Any) -> Subscription:
    name_of_list = values.pop("on", "readers")
    readers, _ = List.objects.get_or_create(slug=name_of_list, defaults={"name": name_of_list})
    person, _ = Subscriber.objects.get_or_create(email_norm=name, defaults={"email": name})
    return Subscription.objects.create(subscriber=person, list=readers, **{"state": "confirmed", **values})


def a_run(**values: Any) -> Run:
    due = values.setdefault("due_at", NOON)
    values = {"kind": "report", "target_label": "Numbers", "schedule_id": 7, "schedule_name": "Nightly", "trigger": "schedule",
        "state": "succeeded", "started_at": due, "finished_at": due + timedelta(seconds=3), **values}  # fmt: skip
    return Run.objects.create(**values)


ADD: dict[str, Callable[[int], object]] = {
    "deliveries_per_day": lambda n: a_delivery(an_issue(n), n),
    "subscriber_growth": lambda n: a_reader(f"{n}@example.org", confirmed_at=NOON),
    "issues": an_issue,
    "deliveries": lambda n: a_delivery(an_issue(n), n, state=n % 7, code=550, text="No such user"),
    "runs_by_schedule": lambda n: a_run(due_at=NOON + timedelta(minutes=n), schedule_id=n),
    "reliability": lambda n: a_run(due_at=NOON + timedelta(minutes=n), schedule_id=n),
    "runs": lambda n: a_run(due_at=NOON + timedelta(minutes=n)),
    "cleanups": lambda n: CleanupRun.objects.create(policy_name="Old", run_id=n, started_at=NOON, deleted={"sessions": n}),
    "activity": lambda n: at(AuditEntry.objects.create(actor_name="ann", action="x", object_type="auth.user"), NOON),
}  # fmt: skip


def at(entry: AuditEntry, moment: datetime) -> None:
    AuditEntry.objects.filter(pk=entry.pk).update(at=moment)


@pytest.mark.parametrize("data_set", ours.OURS, ids=lambda one: one.key)
def test_each_of_ours_keeps_what_reports_rely_on(data_set: registry.DataSet) -> None:
    data_sets.check(data_set, WINDOW, add=ADD[data_set.key])


def test_growth_counts_people_not_lists_and_has_a_row_for_every_day() -> None:
    early = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)
    a_reader("old@x.org", confirmed_at=early)
    a_reader("two@x.org", confirmed_at=early)
    a_reader("two@x.org", on="more", confirmed_at=NOON)  # a second list: nobody new
    a_reader("new@x.org", confirmed_at=NOON)
    a_reader("never@x.org", state="pending")
    a_reader("half@x.org", confirmed_at=early, state="unsubscribed", unsubscribed_at=NOON)
    a_reader("half@x.org", on="more", confirmed_at=early)  # still on another list: not gone
    a_reader("gone@x.org", confirmed_at=early, state="unsubscribed", unsubscribed_at=NOON + timedelta(days=1))
    a_reader("dead@x.org", confirmed_at=early)
    blocked = Suppression.objects.create(address_hash="d", email_norm="dead@x.org", reason="hard_bounce")
    Suppression.objects.filter(pk=blocked.pk).update(created_at=NOON + timedelta(days=2))
    a_reader("later@x.org", confirmed_at=AFTER)
    assert rows_of(registry.get("subscriber_growth"), WINDOW) == [
        (date(2026, 3, 27), 0, 0, 0, 5),
        (date(2026, 3, 28), 1, 0, 0, 6),
        (date(2026, 3, 29), 0, 1, 0, 5),
        (date(2026, 3, 30), 0, 0, 1, 4),
        (date(2026, 3, 31), 0, 0, 0, 4),
    ]


def test_growth_of_two_windows_goes_on_where_the_first_ended() -> None:
    for number in range(20):
        left = NOON + timedelta(days=number % 9) if number % 3 else None
        state = "unsubscribed" if left else "confirmed"
        a_reader(f"{number}@x.org", confirmed_at=NOON - timedelta(days=number), state=state, unsubscribed_at=left)
    whole = rows_of(registry.get("subscriber_growth"), Window(date(2026, 3, 1), date(2026, 4, 10), "UTC"))
    parts = [
        row
        for window in (Window(date(2026, 3, 1), date(2026, 3, 29), "UTC"), Window(date(2026, 3, 29), date(2026, 4, 10), "UTC"))
        for row in rows_of(registry.get("subscriber_growth"), window)
    ]  # fmt: skip
    assert parts == whole and whole[-1][4] == 7 and min(row[4] for row in whole) >= 0


def test_an_issue_is_one_row_with_its_rates() -> None:
    an_issue(1, planned=800, sent=1, bounced=1, failed=799)
    an_issue(2, planned=0, sent=0, state="cancelled")
    an_issue(3, planned=3_000_000_000 % 2_000_000_000, sent=999_999_999, clicks=2)
    an_issue(4, started_at=BEFORE)
    an_issue(5, started_at=AFTER)
    an_issue(6, started_at=None)
    names = [column.name for column in registry.get("issues").columns]
    rows = [dict(zip(names, row, strict=True)) for row in rows_of(registry.get("issues"), WINDOW)]
    assert [row["subject"] for row in rows] == ["News 1", "News 2", "News 3"]
    assert (rows[0]["newsletter"], rows[0]["planned"], rows[0]["state"]) == ("City news", 800, "sent")
    # 0.125 %: a tie that databases round differently.
    assert (rows[0]["sent_rate"], rows[0]["bounce_rate"]) == (Decimal("0.13"), Decimal("100.00"))
    assert (rows[1]["sent_rate"], rows[1]["bounce_rate"]) == (None, None)
    assert (rows[2]["sent_rate"], rows[2]["click_rate"]) == (Decimal("100.00"), Decimal("0.00"))


def test_a_delivery_is_one_row_also_when_it_was_never_sent() -> None:
    issue = an_issue()
    a_delivery(issue, 1)
    a_delivery(issue, 2, state=4, sent_at=None, code=550, text="No such user", attempts=1)
    a_delivery(an_issue(9, started_at=AFTER), 3)
    rows = rows_of(registry.get("deliveries"), WINDOW)
    assert [row[5] for row in rows] == ["sent", "failed"]
    assert rows[1][3:] == (f"r{issue.pk}-2@example.org", "", "failed", None, 1, 550, "No such user")


def test_a_schedule_is_one_row_with_what_was_expected_of_it() -> None:
    for number in range(1, 21):
        due = NOON + timedelta(minutes=number)
        a_run(due_at=due, finished_at=due + timedelta(seconds=number))
    a_run(
        due_at=NOON + timedelta(hours=1),
        started_at=NOON + timedelta(hours=1, seconds=61),
        state="failed",
        finished_at=None,
    )
    a_run(due_at=NOON + timedelta(hours=2), started_at=None, finished_at=None, state="missed", folded_count=2)
    a_run(due_at=NOON + timedelta(hours=3), started_at=None, finished_at=None, state="skipped")
    a_run(due_at=NOON, trigger="manual", state="failed")
    a_run(due_at=AFTER)
    a_run(schedule_id=8, schedule_name="Quiet", started_at=None, finished_at=None, state="skipped")
    assert rows_of(registry.get("reliability"), WINDOW) == [
        # 20 of 24 that were tried: 83.33 %; 19 of the 20 that ended took 19 s or less.
        ("Nightly", 25, 20, 1, 3, 1, 0, Decimal("83.33"), 19, 1),
        ("Quiet", 1, 0, 0, 0, 1, 0, None, None, 0),
    ]  # fmt: skip


def test_a_run_says_how_long_it_waited_and_took() -> None:
    a_run(started_at=NOON + timedelta(seconds=59.9), finished_at=NOON + timedelta(hours=1, seconds=59.9))
    a_run(due_at=NOON + timedelta(minutes=1), state="skipped", started_at=None, finished_at=None, reason_text="paused")
    names = [column.name for column in registry.get("runs").columns]
    ran, skipped = (dict(zip(names, row, strict=True)) for row in rows_of(registry.get("runs"), WINDOW))
    assert (ran["wait"], ran["took"], ran["started"]) == (59, 3600, NOON + timedelta(seconds=59.9))
    assert (skipped["wait"], skipped["took"], skipped["state"], skipped["why"]) == (None, None, "skipped", "paused")


def test_a_cleanup_is_one_row_for_each_kind_that_it_deleted() -> None:
    CleanupRun.objects.create(policy_name="Old", run_id=1, started_at=BEFORE, deleted={"sessions": 1})
    deleted = {"unconfirmed_subscriptions": 2, "sessions": 1_000}
    CleanupRun.objects.create(policy_name="Old", run_id=2, started_at=NOON, deleted=deleted, state="done")
    assert rows_of(registry.get("cleanups"), WINDOW) == [
        (NOON, "Old", "Sessions", 1000, "done"),
        (NOON, "Old", "Unconfirmed subscriptions", 2, "done"),
    ]


def test_the_activity_log_lists_refusals_as_well() -> None:
    for moment, refused in ((BEFORE, False), (NOON, True), (NOON, False), (AFTER, False)):
        entry = AuditEntry.objects.create(
            actor_name="ann", action="paused", object_label="Nightly", was_refused=refused
        )
        at(entry, moment)
    rows = rows_of(registry.get("activity"), WINDOW)
    assert [(row[0], row[1], row[-1]) for row in rows] == [(NOON, "ann", True), (NOON, "ann", False)]


def test_what_names_people_or_watches_them_takes_its_own_permission() -> None:
    needed = {data_set.key: data_set.permission for data_set in ours.OURS}
    assert needed["deliveries"] == "newsletters.view_subscriber" and needed["activity"] == "runs.view_auditentry"
