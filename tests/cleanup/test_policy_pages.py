"""A policy's own page: its state in a sentence, the way until it is on, a second person's word, and what its runs did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client

from cleanup import approval, holding, kinds, policy_words, running, services
from cleanup.models import CleanupApproval, CleanupPolicy, CleanupPreview, CleanupRun
from runs import clock
from runs.models import AuditEntry, Notice
from runs.tasks import JobFailed
from schedules import services as schedules
from schedules.drafts import ScheduleDraft
from tests.cleanup import targets
from tests.cleanup.conftest import begin

pytestmark = pytest.mark.django_db
Add = Callable[..., None]


def staff(name: str, *codenames: str) -> User:
    """A member of staff who may do so much with cleanups."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="cleanup"))
    return User.objects.get(pk=user.pk)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def off(db: None) -> CleanupPolicy:
    return CleanupPolicy.objects.create(name="Old sessions", targets=["sessions"], days=30, approve_above_rows=10)


def page(client: Client, policy: CleanupPolicy) -> str:
    return client.get(f"/admin/cleanup/cleanuppolicy/{policy.pk}/detail/").content.decode()


def do(client: Client, policy: CleanupPolicy, verb: str, **data: Any) -> str:
    """Presses a button; what the next page says."""
    return client.post(f"/admin/cleanup/cleanuppolicy/{policy.pk}/{verb}/", data, follow=True).content.decode()


def test_it_says_in_a_sentence_what_it_does_next(boss: Client, off: CleanupPolicy, sessions: Add) -> None:
    sessions(4, 40)
    assert "It deletes nothing. Once it is on, it deletes what is older than 30 days." in page(boss, off)
    do(boss, off, "preview")
    do(boss, off, "enable")
    assert "It is on no schedule" in page(boss, off)
    draft = ScheduleDraft.for_kind("cleanup", name="Sundays", target_id=off.pk, expression="30 3 * * 0")
    made = schedules.create_schedule(None, draft)
    said = page(boss, off)
    assert "it deletes about 4 rows older than 30 days." in said and "Next, on Sun " in said
    Session.objects.filter(expire_date__lt=clock.now()).delete()
    assert "it deletes nothing, as no row that may go is then older than 30 days." in page(boss, off), (
        "counted anew, not remembered"
    )
    schedules.pause_schedule(None, made.pk, reason="Holidays")
    assert "but not by itself now: “Sundays” is paused" in page(boss, off)


def test_a_filter_that_is_offered_no_longer_breaks_no_page(boss: Client, off: CleanupPolicy) -> None:
    draft = ScheduleDraft.for_kind("cleanup", name="Sundays", target_id=off.pk, expression="30 3 * * 0")
    schedules.create_schedule(None, draft)
    off.is_enabled, off.filters = True, {"sessions": {"colour": "red"}}
    off.save()
    said = page(boss, off)
    assert "it deletes what is older than 30 days" in said and "colour red (no longer offered)" in said
    assert "no longer offered" in kinds.describe_impact(off)
    with pytest.raises(JobFailed, match="no longer offered"):
        running.perform(begin(off))


def test_names_are_said_as_they_are_written(off: CleanupPolicy) -> None:
    off.targets = ["admin_log"]
    assert dict(policy_words.rule(off))["Deletes"] == "The log of Django’s own admin pages"


def test_from_preview_to_on_and_off_again(boss: Client, off: CleanupPolicy, sessions: Add) -> None:
    sessions(4, 40)
    assert "Preview it first" in do(boss, off, "enable")
    assert "It would delete 4 rows now. Nothing was deleted" in do(boss, off, "preview")
    said = page(boss, off)
    assert "4 rows older than 30 days" in said and "Each of them" in said
    assert "It is on" in do(boss, off, "enable")
    off.refresh_from_db()
    assert off.is_enabled and off.enabled_rule_hash
    assert "It is off" in do(boss, off, "disable")


def test_a_preview_lasts_a_day_and_only_for_its_rule(boss: Client, off: CleanupPolicy) -> None:
    services.preview_policy(None, off.pk)
    CleanupPreview.objects.update(created_at=clock.now() - timedelta(hours=24, minutes=1))
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, off.pk)
    services.preview_policy(None, off.pk)
    CleanupPreview.objects.update(created_at=clock.now() + timedelta(hours=1))  # the clock was ahead
    assert "That counts for a day" not in page(boss, off)
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, off.pk)
    services.preview_policy(None, off.pk)
    off.days = 31
    services.save_policy(None, off)
    with pytest.raises(ValidationError, match="Preview it first"):
        services.enable_policy(None, off.pk)


def test_above_its_limits_somebody_else_has_to_agree(off: CleanupPolicy, sessions: Add) -> None:
    sessions(40, 40)
    anna = staff("anna", "view_cleanuppolicy", "change_cleanuppolicy", "run_cleanup", "approve_cleanup")
    berta = staff("berta", "view_cleanuppolicy", "approve_cleanup")
    one, other = signed_in(anna), signed_in(berta)
    do(one, off, "preview")
    assert "Somebody else has to agree first" in do(one, off, "enable")
    assert "1 person has been told" in do(one, off, "ask")
    assert [notice.user_id for notice in Notice.objects.all()] == [berta.pk]
    # The one who asked sees that it waits, and cannot answer it.
    assert "somebody else must give it" in page(one, off)
    asked = approval.waiting(off)
    assert asked is not None
    refused = do(one, off, "approve", seen=services.seen_of(asked), note="")
    assert "somebody else must give it" in refused
    assert AuditEntry.objects.filter(actor=anna, was_refused=True, action="approve the policy").exists()
    # The other sees exactly what: counts, rows, and how many are allowed.
    question = do(other, off, "approve")
    for fact in (
        "anna asks to delete 40 rows",
        "at most 44 rows a run, for 7 days",
        "Session that expired on",
        "30 days",
    ):
        assert fact in question, fact
    CleanupPreview.objects.update(created_at=clock.now() - timedelta(days=20))
    do(one, off, "preview")
    targets.clean("cleanup_previews", 7)  # weeks later
    assert "anna asks to delete 40 rows" in do(other, off, "approve")
    assert "Approved" in do(other, off, "approve", seen=services.seen_of(asked), note="Go on")
    assert Notice.objects.filter(user=anna, text__contains="approved by berta").exists()
    assert "It is on" in do(one, off, "enable")
    assert "berta agreed to up to 44 rows a run" in page(one, off)


def test_ten_times_the_usual_needs_somebody_elses_word(off: CleanupPolicy, sessions: Add) -> None:
    now = clock.now()
    CleanupRun.objects.create(
        policy=off,
        policy_name=off.name,
        run_id=1,
        started_at=now,
        finished_at=now,
        state="done",
        deleted={"sessions": 12},
    )
    off.approve_above_rows = None
    off.save()
    sessions(120, 40)
    services.preview_policy(None, off.pk)
    assert services.enable_policy(None, off.pk).is_enabled, "exactly ten times"
    services.disable_policy(None, off.pk)
    sessions(1, 50, prefix="more")
    services.preview_policy(None, off.pk)
    with pytest.raises(ValidationError, match=r"usual are 12\. That is more than 10 times as many"):
        services.enable_policy(None, off.pk)


def test_what_was_seen_is_what_is_approved(off: CleanupPolicy, sessions: Add) -> None:
    sessions(40, 40)
    services.preview_policy(None, off.pk)
    old, _ = services.ask_for_approval(None, off.pk)
    seen = services.seen_of(old)
    sessions(20, 50, prefix="more")
    services.preview_policy(None, off.pk)
    services.ask_for_approval(None, off.pk)
    with pytest.raises(ValidationError, match="asked for anew"):
        services.approve_policy(None, off.pk, seen)
    off.days = 20
    services.save_policy(None, off)
    with pytest.raises(ValidationError, match="rule was changed"):
        services.approve_policy(None, off.pk, seen)
    assert not CleanupApproval.objects.filter(approved_at__isnull=False).exists()


def test_a_no_needs_its_reason_and_reaches_whoever_asked(off: CleanupPolicy, sessions: Add) -> None:
    sessions(40, 40)
    anna = staff("anna", "view_cleanuppolicy", "run_cleanup")
    berta = staff("berta", "view_cleanuppolicy", "approve_cleanup")
    services.preview_policy(None, off.pk)
    asked, _ = services.ask_for_approval(anna, off.pk)
    other = signed_in(berta)
    assert "Say why, for whoever asked." in do(other, off, "refuse", seen=services.seen_of(asked), note=" ")
    do(other, off, "refuse", seen=services.seen_of(asked), note="Ask the archive first")
    assert "Ask the archive first" in page(signed_in(anna), off)
    assert Notice.objects.get(user=anna).text.endswith("Ask the archive first")
    with pytest.raises(ValidationError, match="Somebody else has to agree"):
        services.enable_policy(anna, off.pk)


def test_nobody_lifts_a_limit_unseen(off: CleanupPolicy) -> None:
    anna = staff("anna", "change_cleanuppolicy", "approve_cleanup")
    berta = staff("berta", "change_cleanuppolicy", "approve_cleanup")
    off.approve_above_rows = None
    services.save_policy(anna, off)
    assert "above 10 rows before, never now" in Notice.objects.get(user=berta).text
    assert not Notice.objects.filter(user=anna).exists()
    off.approve_above_times = 500
    services.save_policy(berta, off)
    assert "500 times the usual now" in Notice.objects.get(user=anna).text


def test_it_shows_its_runs_their_backlog_and_where_the_room_went(boss: Client, off: CleanupPolicy) -> None:
    now = clock.now()
    for n, left in enumerate((5, 50, 60, 70, 80)):
        at = now - timedelta(days=9 - n)
        CleanupRun.objects.create(
            policy=off, policy_name=off.name, run_id=begin(off).id, started_at=at, finished_at=at, rule=off.rule(),
            state="partial", deleted={"sessions": 12_345}, tables={"sessions.Session": {"deleted": 12_345}}, backlog=left,
            oldest_eligible=now - timedelta(days=400),
        )  # fmt: skip
    said = page(boss, off)
    assert "It falls behind" in said and "80 rows" in said and "12,345" in said
    assert "The space is reused, not returned." in said
    assert ("The whole database file" if connection.vendor == "sqlite" else "Sessions") in said
    CleanupRun.objects.create(
        policy=off, policy_name=off.name, run_id=999, started_at=now, state="refused", reason="10 times"
    )
    assert "Its last run was refused, and deleted nothing." in page(boss, off)


def test_who_only_looks_on_sees_how_many_and_not_which(off: CleanupPolicy, sessions: Add) -> None:
    sessions(3, 40)
    services.preview_policy(None, off.pk)
    said = page(signed_in(staff("viewer", "view_cleanuppolicy")), off)
    assert "3 rows older than" in said and "Session that expired" not in said


def test_holds_are_shown_where_they_bite(boss: Client, off: CleanupPolicy, sessions: Add) -> None:
    sessions(3, 40)
    holding.add_hold(None, target="sessions", object_id="s1", reason="Asked for by the auditor")
    do(boss, off, "preview")
    said = page(boss, off)
    assert "2 rows older than" in said and said.count("Asked for by the auditor") == 2
    assert "1 is old enough and stays" in said
    holding.add_hold(None, target="sessions", object_id="", reason="Audit")
    do(boss, off, "preview")
    said = page(boss, off)
    assert "Nothing: 3 rows are old enough, and held" in said and "Nothing is old enough" not in said
    live = boss.post("/admin/cleanup/cleanuppolicy/live/", {"name": "x", "targets": ["sessions"], "days": "30"})
    assert "It would delete nothing now: 3 rows are old enough, and held." in live.content.decode()
    services.enable_policy(None, off.pk)
    context = begin(off)
    running.perform(context)
    cleaned = CleanupRun.objects.get(run_id=context.id)
    said = boss.get(f"/admin/cleanup/cleanuppolicy/run/{cleaned.pk}/").content.decode()
    assert "3 stayed because of a hold" in said and "Nothing that may go was left behind" in said


def test_every_change_needs_its_permission_and_refusals_are_recorded(off: CleanupPolicy) -> None:
    anna = User.objects.create_user("anna")
    attempts: list[Callable[[], object]] = [
        lambda: services.save_policy(anna, off),
        lambda: services.preview_policy(anna, off.pk),
        lambda: services.enable_policy(anna, off.pk),
        lambda: services.disable_policy(anna, off.pk),
        lambda: services.delete_policy(anna, off.pk),
        lambda: services.ask_for_approval(anna, off.pk),
        lambda: services.approve_policy(anna, off.pk, ""),
        lambda: services.refuse_policy(anna, off.pk, "", "x"),
    ]
    for attempt in attempts:
        with pytest.raises(PermissionDenied, match="You may not do this"):
            attempt()
    assert AuditEntry.objects.filter(actor_name="anna", was_refused=True).count() == len(attempts)
