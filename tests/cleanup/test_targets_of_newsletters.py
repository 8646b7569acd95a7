"""Recipients, what came back, sign-ups, people who left, feedback and imports: what goes, and what always stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from cleanup import holding
from newsletters import addresses, erasing
from newsletters.models import (
    Delivery,
    FeedbackMessage,
    ImportJob,
    ImportProblem,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Segment,
    Subscriber,
    Subscription,
    Suppression,
)
from runs.models import AuditEntry
from tests.cleanup import targets
from tests.cleanup.targets import ago
from tests.newsletters import test_kept_counts
from tests.newsletters.test_kept_counts import an_issue

pytestmark = pytest.mark.django_db


def aged(issue: Issue, days: float) -> list[Delivery]:
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(days))
    return list(Delivery.objects.filter(issue=issue))


def a_person(who: str, **values: Any) -> Subscriber:
    address = f"{who}@example.org"
    return Subscriber.objects.create(email=address, email_norm=address, created_at=ago(1000), **values)


def on_list(person: Subscriber, state: str, days: float, **values: Any) -> Subscription:
    chosen, _ = List.objects.get_or_create(
        slug=f"list-{person.subscriptions.count()}", defaults={"name": str(person.pk)}
    )
    moments = {"created_at": ago(days), **({"unsubscribed_at": ago(days)} if state == "unsubscribed" else {})}
    return Subscription.objects.create(subscriber=person, list=chosen, state=state, **{**moments, **values})


def test_recipients_of_old_issues_go_and_the_numbers_stay(client: Any) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    old, new, asked, going = (an_issue(number) for number in range(4))
    takes = aged(old, 120)
    Issue.objects.filter(pk=going.pk).update(state=Issue.State.PAUSED)
    leaves = [*aged(new, 20), *aged(asked, 130), *aged(going, 140)]
    Segment.objects.create(name="Missed", rule={"all": [{"about": "issue", "op": "not_received", "which": asked.pk}]})
    event = ReaderEvent.objects.create(kind="left", delivery=takes[0], issue=old, subscriber=takes[0].subscriber)
    before = test_kept_counts.shown(client, old), test_kept_counts.shown(client, new)
    targets.check("deliveries", days=90, takes=takes, leaves=leaves)
    assert (test_kept_counts.shown(client, old), test_kept_counts.shown(client, new)) == before
    event.refresh_from_db()
    assert event.delivery is None and event.issue == old


def test_an_issue_cleaned_in_many_batches_keeps_its_whole_numbers(client: Any) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    issue = an_issue()
    before = test_kept_counts.shown(client, issue)
    Issue.objects.filter(pk=issue.pk).update(finished_at=ago(120))
    targets.clean("deliveries", 90, batch_size=3)
    assert not Delivery.objects.exists()
    after = test_kept_counts.shown(client, issue)
    assert after == before


def test_the_last_bounce_of_each_reader_stays() -> None:
    ann, bob = a_person("ann"), a_person("bob")

    def event(kind: str, person: Subscriber | None, days: float) -> ReaderEvent:
        return ReaderEvent.objects.create(kind=kind, subscriber=person, at=ago(days))

    takes = [event("hard", ann, 300), event("confirmed", ann, 290), event("left", bob, 280), event("hard", None, 270)]
    leaves = [event("hard", ann, 200), event("soft", ann, 190), event("soft", bob, 180), event("changed", bob, 3)]
    targets.check("reader_events", days=30, takes=takes, leaves=leaves)


def test_sign_ups_that_were_never_confirmed_go_and_then_who_is_on_no_list() -> None:
    ann, bob, cid, dan = (a_person(name) for name in ("ann", "bob", "cid", "dan"))
    old = on_list(ann, "pending", 40)
    leaves = [
        on_list(bob, "pending", 5), on_list(bob, "confirmed", 400), on_list(cid, "unsubscribed", 400),
        on_list(dan, "pending", 400, mailed_at=ago(2)),
    ]  # fmt: skip
    targets.check("unconfirmed_subscriptions", days=30, takes=[old], leaves=[*leaves, ann, bob, cid, dan])
    eva = a_person("eva")
    ReaderEvent.objects.create(kind="changed", subscriber=eva)
    new = Subscriber.objects.create(email="new@example.org", email_norm="new@example.org")
    targets.check("people_on_no_list", days=30, takes=[ann], leaves=[bob, cid, dan, eva, new, *leaves])
    assert not Suppression.objects.exists()  # they may sign up again


def test_people_who_left_long_ago_are_erased_and_a_hash_is_kept() -> None:
    left, gone = a_person("left", name="Anna Left"), a_person("gone")
    on_list(left, "unsubscribed", 500)
    on_list(gone, "confirmed", 500)
    for person, days in ((gone, 400), (bounced := a_person("bounced"), 100)):
        Suppression.objects.create(
            address_hash=addresses.address_hashes(person.email_norm)[0], email_norm=person.email_norm,
            reason="hard_bounce", created_at=ago(days),
        )  # fmt: skip
    stays = [bounced]
    on_list(bounced, "confirmed", 500)
    for name, states in {
        "reader": ("confirmed",),
        "half": ("unsubscribed", "confirmed"),
        "asked": ("pending",),
    }.items():
        stays.append(person := a_person(name))
        for state in states:
            on_list(person, state, 500)
    stays.append(recent := a_person("recent"))
    on_list(recent, "unsubscribed", 100)
    stays.append(mailed := a_person("mailed"))
    on_list(mailed, "unsubscribed", 500)
    issue = an_issue()
    Delivery.objects.create(issue=issue, subscriber=mailed, email="m", email_norm="m", state=3, sent_at=ago(50))
    stays.append(answered := a_person("answered"))
    on_list(answered, "unsubscribed", 500)
    ReaderEvent.objects.create(kind="hard", subscriber=answered, at=ago(20))
    AuditEntry.objects.create(action="changed", object_label="Anna Left <left@example.org>")
    stays.append(a_person("nowhere"))
    targets.check("inactive_subscribers", days=365, takes=[left, gone], leaves=stays)
    assert set(Subscriber.objects.filter(pk__in=[left.pk, gone.pk])) == set()
    for address in ("left@example.org", "gone@example.org"):
        kept = Suppression.objects.get(address_hash__in=addresses.address_hashes(address))
        assert (kept.reason, kept.email_norm) == (Suppression.Reason.ERASED, "")
    assert "left@example.org" not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.filter(action="erased a person").count() == 2


def test_nobody_is_half_erased_when_one_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [a_person(f"p{number}") for number in range(4)]
    for person in people:
        on_list(person, "unsubscribed", 500)
    remove = erasing.remove

    def fails_for_one(actor: Any, subscriber: Subscriber) -> None:
        number = subscriber.pk
        remove(actor, subscriber)
        if number == people[2].pk:
            raise RuntimeError("The file of an import cannot be read.")

    monkeypatch.setattr(erasing, "remove", fails_for_one)
    done = targets.clean("inactive_subscribers", 365)
    assert list(Subscriber.objects.order_by("pk")) == [people[2]] and people[2].subscriptions.count() == 1
    assert [(one["target"], one["pk"]) for one in done.poison] == [("inactive_subscribers", str(people[2].pk))]
    assert Suppression.objects.count() == 3


def test_feedback_that_reached_nobody_stays() -> None:
    def message(days: float, **values: Any) -> FeedbackMessage:
        return FeedbackMessage.objects.create(text="Hello", created_at=ago(days), **values)

    old, unread, new = message(200, mailed_at=ago(200)), message(200), message(10, mailed_at=ago(10))
    targets.check("feedback", days=90, takes=[old], leaves=[unread, new])


def test_records_of_imports_go_when_their_file_has_gone(settings: Any, tmp_path: Any) -> None:
    def job(days: float, state: str = "done", **values: Any) -> ImportJob:
        return ImportJob.objects.create(state=state, created_at=ago(days), original_name="a.csv", **values)

    old = job(100)
    old.lists.add(List.objects.create(slug="a", name="A"))
    ImportProblem.objects.create(job=old, row=3, kind="wrong", message="No address.")
    with_file = job(100)
    with_file.file.save("a.csv", ContentFile(b"a"))
    leaves = [job(100, "running"), job(100, "checked"), job(10), with_file, List.objects.get()]
    targets.check("imports", days=60, takes=[old, job(90, "failed")], leaves=leaves)
    assert not ImportProblem.objects.exists()


def test_one_hold_keeps_all_of_a_person_and_one_all_of_a_newsletter() -> None:
    ann, bob = a_person("ann"), a_person("bob")
    for person in (ann, bob):
        on_list(person, "pending", 400)
        ReaderEvent.objects.create(kind="changed", subscriber=person, at=ago(400))
    held, other = an_issue(), an_issue(1)
    Issue.objects.filter(pk=other.pk).update(newsletter=Newsletter.objects.create(name="Other", subject="x", body="x"))
    aged(held, 400), aged(other, 400)
    Delivery.objects.create(issue=other, email="Ann", email_norm=ann.email_norm, subscriber=None)
    holding.add_hold(None, target="*", scope="person", value=" Ann@Example.ORG ", reason="A complaint")
    holding.add_hold(None, target="deliveries", scope="newsletter", value=str(held.newsletter_id), reason="Audit")
    for key in ("unconfirmed_subscriptions", "reader_events", "deliveries", "people_on_no_list"):
        targets.clean(key, 365)
    assert list(Subscription.objects.values_list("subscriber", flat=True)) == [ann.pk]
    assert list(ReaderEvent.objects.values_list("subscriber", flat=True)) == [ann.pk]
    assert set(Delivery.objects.values_list("issue", "email")) >= {(other.pk, "Ann")}
    assert Delivery.objects.filter(issue=held).count() == 14 and Delivery.objects.filter(issue=other).count() == 1
    assert set(Subscriber.objects.filter(pk__in=[ann.pk, bob.pk])) == {ann}
