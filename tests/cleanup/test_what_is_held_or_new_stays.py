"""What is held is not touched by any cleanup, in any form; what is new or the latest stays however the two meet."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import BooleanField, Func, Model, Q
from django.test import Client

from cleanup import holding
from cleanup import targets as registry
from cleanup.models import CleanupPolicy, Hold
from cleanup.selection import Selection
from cleanup.targets import row_target, scopes
from newsletters import held_traces
from newsletters.models import (
    Delivery,
    FeedbackMessage,
    ImportJob,
    ImportProblem,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Subscriber,
    Subscription,
)
from reports import retention, storage
from reports.models import ReportDefinition
from runs.models import Alert, AuditEntry, Run, RunEvent
from schedules import services as schedules
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule
from tests.cleanup import targets
from tests.cleanup.targets import ago
from tests.cleanup.test_targets_of_newsletters import a_person, on_list
from tests.cleanup.test_targets_of_records import a_file, a_report, write
from tests.newsletters.test_kept_counts import an_issue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("hold", [{"scope": "newsletter"}, {}, {"object_id": "delivery"}])
def test_a_held_recipient_stays_who_it_was_when_the_reader_is_erased_by_a_cleanup(hold: dict[str, Any]) -> None:
    person = a_person("left")
    on_list(person, "unsubscribed", 900)
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(900))
    delivery = Delivery.objects.create(
        issue=issue, subscriber=person, email=person.email, email_norm=person.email_norm, state=3, sent_at=ago(900)
    )
    if "scope" in hold:
        hold = {**hold, "value": str(issue.newsletter_id)}
    if "object_id" in hold:
        hold = {"object_id": str(delivery.pk)}
    holding.add_hold(None, target="deliveries", reason="A court asks who got it", **hold)
    before = Delivery.objects.filter(pk=delivery.pk).values().get()
    targets.clean("inactive_subscribers", 365)
    after = Delivery.objects.filter(pk=delivery.pk).values().get()
    assert after == before, "what is held was emptied"


def test_a_held_log_entry_stays_as_it_is_when_a_reader_is_erased_by_a_cleanup() -> None:
    person = a_person("left")
    on_list(person, "unsubscribed", 900)
    entry = AuditEntry.objects.create(action="changed", object_label="Anna Left <left@example.org>")
    holding.add_hold(None, target="activity_log", reason="Audit of 2026")
    targets.clean("inactive_subscribers", 365)
    entry.refresh_from_db()
    assert "left@example.org" in entry.object_label


def _written_about(ann: Subscriber) -> dict[str, Model]:
    """A row of every kind that erasing would change, by the target under which it can be held; "" is of nobody."""
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(900))
    letter = Delivery.objects.create(issue=issue, email="x", email_norm=ann.email_norm, state=3, sent_at=ago(900))
    about = {"object_type": "newsletters.subscriber", "object_id": str(ann.pk)}
    AuditEntry.objects.create(action="changed", **about, before={"email": "Anna@Example.net"})
    run = Run.objects.create(kind="import", target_id=1, state="succeeded", due_at=ago(900))
    RunEvent.objects.create(run=run, message="Left out: <ann@example.org>.")
    imported = ImportJob.objects.create(state="done")
    ImportProblem.objects.create(job=imported, row=2, kind="wrong", value="Anna@Example.net", message="Twice")
    return {
        "deliveries": letter,
        "reader_events": ReaderEvent.objects.create(kind="changed", delivery=letter, at=ago(900)),
        "feedback": FeedbackMessage.objects.create(text="Write to anna@example.net, please", mailed_at=ago(300)),
        "activity_log": AuditEntry.objects.create(action="left a list", **about),
        "admin_log": LogEntry.objects.create(
            user=User.objects.create(username="boss"), action_flag=2, object_repr="Ann <ann@example.org>"
        ),
        "runs": run,
        "imports": imported,
        "alerts": Alert.objects.create(
            key="x", title="x", detail="To ann@example.org: refused", first_seen_at=ago(9), last_seen_at=ago(9)
        ),
        "people_on_no_list": ann,
        "": AuditEntry.objects.create(action="changed", object_label="joann@example.org, ann@example.org.uk"),
    }


def test_whoever_is_named_in_what_is_held_is_not_erased_by_a_cleanup_and_everybody_else_is() -> None:
    ann, bob = a_person("ann"), a_person("bob")
    on_list(ann, "unsubscribed", 900)
    written = _written_about(ann)
    nobody = written.pop("")
    chosen = Selection(row_target("inactive_subscribers"), ago(365))
    holding.add_hold(None, target="activity_log", object_id=str(nobody.pk), reason="Is of somebody else")
    on_list(bob, "unsubscribed", 900)
    assert set(chosen.unheld(ago(0))) == {ann, bob}
    for key, row in written.items():
        hold = holding.add_hold(None, target=key, object_id=str(row.pk), reason="Audit")
        assert set(chosen.unheld(ago(0))) == {bob}, key
        holding.release_hold(None, hold.pk)
    holding.add_hold(None, target="unconfirmed_subscriptions", reason="Only who never confirmed")
    assert set(chosen.unheld(ago(0))) == {ann, bob}


def test_while_more_is_held_than_can_be_read_nobody_is_erased_by_a_cleanup(monkeypatch: pytest.MonkeyPatch) -> None:
    on_list(a_person("ann"), "unsubscribed", 900)
    AuditEntry.objects.bulk_create(AuditEntry(action="x", object_label=f"n{n}@example.org") for n in range(4))
    holding.add_hold(None, target="activity_log", reason="Audit of 2026")
    chosen = Selection(row_target("inactive_subscribers"), ago(365))
    assert chosen.unheld(ago(0)).count() == 1
    monkeypatch.setattr(held_traces, "MOST", 3)
    assert chosen.unheld(ago(0)).count() == 0


def test_a_hold_on_a_person_keeps_what_they_wrote() -> None:
    message = FeedbackMessage.objects.create(
        text="I complain", email="Ann@Example.org", created_at=ago(300), mailed_at=ago(300)
    )
    a_person("ann")
    holding.add_hold(None, target="*", scope="person", value="ann@example.org", reason="A complaint")
    targets.clean("feedback", 90)
    assert FeedbackMessage.objects.filter(pk=message.pk).exists()


def test_any_schedule_can_be_held(client: Client, policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "MOST_OFFERED", 2)
    names = [f"S{number}" for number in range(4)]
    for name in names:
        schedules.create_schedule(
            None, ScheduleDraft.for_kind("cleanup", name=name, target_id=policy.pk, expression="30 3 * * *")
        )
    last = Schedule.objects.get(periodic_task__name=names[-1])
    hold = holding.add_hold(None, target="runs", scope="schedule", value=str(last.pk), reason="Audit")
    assert hold.value_label == names[-1]
    client.force_login(User.objects.create_superuser("boss"))
    typed = {"what": "runs:schedule", "reason": "Audit"}
    shown = client.get("/admin/cleanup/hold/add/").content.decode()
    assert '<option value="S1">' in shown and '<option value="S2">' not in shown, "so many are offered, and no more"
    refused = client.post("/admin/cleanup/hold/add/", {**typed, "which__schedule": "S9"}).content.decode()
    assert "No schedule is called so" in refused and 'value="S9"' in refused
    client.post("/admin/cleanup/hold/add/", {**typed, "which__schedule": "s2"})
    assert Hold.objects.latest("pk").value_label == "S2"


def test_a_policy_can_be_narrowed_down_to_any_newsletter(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scopes, "MOST_OFFERED", 2)
    letters = [Newsletter.objects.create(name=f"N{n}", subject="News", body="Hello") for n in range(4)]
    client.force_login(User.objects.create_superuser("boss"))
    typed = {"name": "Old letters", "targets": ["deliveries"], "days": "60", "archive": "none"}
    name = "filter-by-name.deliveries.newsletter"
    page = client.post("/admin/cleanup/cleanuppolicy/add/", {**typed, name: "N9"}).content.decode()
    assert "no longer there" in page and f'name="{name}" value="N9"' in page
    assert client.post("/admin/cleanup/cleanuppolicy/add/", {**typed, name: "N3"}).status_code == 302
    stored = CleanupPolicy.objects.get()
    assert stored.filters == {"deliveries": {"newsletter": str(letters[3].pk)}}
    page = client.get(f"/admin/cleanup/cleanuppolicy/{stored.pk}/change/").content.decode()
    assert f'name="{name}" value="N3"' in page


def test_a_hold_may_last_as_long_as_a_calendar_goes(client: Client, sessions: Any) -> None:
    sessions(3, 40)
    client.force_login(User.objects.create_superuser("boss"))
    answer = client.post(
        "/admin/cleanup/hold/add/",
        {"what": "sessions:row", "object_id": "s1", "reason": "Audit of 2026", "until": "9999-12-31"},
    )
    assert answer.status_code in (200, 302)


def test_the_report_that_the_house_keeps_as_its_latest_stays() -> None:
    """One made later for days long past is not the latest."""
    numbers = ReportDefinition.objects.create(name="Numbers", data_set="runs", keep_last=1)
    latest = a_file(a_report(numbers, 40), deleted=False, expired=10)
    earlier_days = a_file(a_report(numbers, 70), deleted=False, expired=-20)  # asked for later, for an earlier month
    assert earlier_days.report_run.pk > latest.report_run.pk
    assert retention.kept_runs([latest.report_run, earlier_days.report_run]) == {latest.report_run_id}
    targets.clean("report_files", 1)
    latest.refresh_from_db()
    assert latest.deleted_at is None and storage.path_of(latest.key).exists()


class Waits(Func):
    """Takes its time for each row that a batch locks, as a slow disk does."""

    template = (
        "(CASE WHEN position('SKIP' || ' LOCKED' in current_query()) = 0 THEN true ELSE pg_sleep(0.3) IS NOT NULL END)"
    )
    output_field = BooleanField()


def test_who_signs_up_while_a_batch_looks_for_its_rows_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    people = [a_person(f"p{number}") for number in range(3)]
    chosen = List.objects.create(slug="a", name="A")
    target = row_target("people_on_no_list")
    import dataclasses

    own = target.condition
    assert callable(own)
    slow = dataclasses.replace(target, condition=lambda cutoff: own(cutoff) & Q(Waits()), order=("pk",))
    registry.register(slow)

    signed_up: list[bool] = []

    def sign_up() -> None:
        for _ in range(400):
            time.sleep(0.02)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE query LIKE %s AND state = 'active' AND pid <> pg_backend_pid()",
                    ["%SKIP LOCKED%"],
                )
                if cursor.fetchone():
                    signed_up.append(True)
                    break
        Subscription.objects.create(subscriber=people[-1], list=chosen, state="confirmed", confirmed_at=ago(0))
        connection.close()

    thread = threading.Thread(target=sign_up)
    thread.start()
    try:
        targets.clean("people_on_no_list", 30, batch_size=3)
    finally:
        thread.join()
        registry.register(target)
    assert signed_up, "nobody signed up while it looked"
    assert Subscriber.objects.filter(pk=people[-1].pk).exists(), "a reader who has just signed up is gone"
    assert Subscription.objects.filter(subscriber=people[-1]).count() == 1


@pytest.mark.parametrize("name", ["readers.csv", "imports/readers.csv"])
def test_a_file_that_is_held_by_its_name_or_where_it_lies_stays(settings: Any, tmp_path: Any, name: str) -> None:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    file, other = write("imports/readers.csv", 3), write("imports/other.csv", 3)
    hold = holding.add_hold(None, target="orphan_files", object_id=name, reason="A court asks for it")
    assert "imports/readers.csv: A court" in holding.in_words(hold)
    targets.clean("orphan_files", 1)
    assert file.exists() and not other.exists()


def test_a_file_whose_name_says_too_little_is_not_held(settings: Any, tmp_path: Any) -> None:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    write("imports/readers.csv", 3)
    write("attachments/readers.csv", 3)
    with pytest.raises(ValidationError, match=r"attachments/readers\.csv or imports/readers\.csv"):
        holding.add_hold(None, target="orphan_files", object_id="readers.csv", reason="A court asks for it")
    with pytest.raises(ValidationError, match="no such file"):
        holding.add_hold(None, target="orphan_files", object_id="x" * 300, reason="A court asks for it")


def test_what_came_from_a_held_person_stays_also_when_the_letter_it_answered_goes() -> None:
    issue = an_issue()
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(900))
    delivery = Delivery.objects.create(issue=issue, email="ann@example.org", email_norm="ann@example.org", state=3)
    event = ReaderEvent.objects.create(kind="changed", delivery=delivery, at=ago(900))
    holding.add_hold(None, target="reader_events", scope="person", value="ann@example.org", reason="A complaint")
    targets.clean("reader_events", 365)
    assert ReaderEvent.objects.filter(pk=event.pk).exists()
    targets.clean("deliveries", 365)
    targets.clean("reader_events", 365)
    assert ReaderEvent.objects.filter(pk=event.pk).exists()


def test_a_held_person_stays_held_under_another_address() -> None:
    ann = a_person("ann")
    holding.add_hold(None, target="*", scope="person", value="ann@example.org", reason="A complaint")
    Subscriber.objects.filter(pk=ann.pk).update(email="anna@example.net", email_norm="anna@example.net")
    targets.clean("people_on_no_list", 365)
    assert Subscriber.objects.filter(pk=ann.pk).exists()


def test_a_person_is_held_by_an_address_that_they_had_before() -> None:
    ann, bob = a_person("ann"), a_person("bob")
    AuditEntry.objects.create(
        action="changed", object_type="newsletters.subscriber", object_id=str(ann.pk),
        before={"email": "Anna@Example.net"}, after={"email": "ann@example.org"},
    )  # fmt: skip
    holding.add_hold(None, target="*", scope="person", value="anna@example.net", reason="A complaint")
    targets.clean("people_on_no_list", 365)
    assert list(Subscriber.objects.all()) == [ann] and bob.pk != ann.pk
