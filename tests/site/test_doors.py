"""Every role at every door: GET changes nothing, no token and no permission are refused and recorded, the rest works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from PIL import Image as Picture

from cleanup.models import CleanupApproval
from runs.models import AuditEntry
from schedules.models import OutsideEdit
from tests.site.doors import CLOSED, DOORS, FROM_ELSEWHERE, PUBLIC, QUESTIONS, READS, WITHOUT_TOKEN, Data, Door, World

OURS = ("runs", "schedules", "newsletters", "reports", "cleanup")
ROLES = ("Viewer", "Editor", "Scheduler", "Sender", "Analyst", "Administrator")
NOBODY = "Nobody"
MACHINERY = {
    "auditentry", "heartbeat", "notice", "runlink", "queuecanary", "staffsettings", "outsideedit", "lane", "pace", "imagesize",
    "reportrun", "downloadevent", "reportdelivery", "reportrecipient", "sharelink", "cleanuppreview", "cleanuprun",
    "cleanupapproval", "archivepart", "fileoutbox",
}  # fmt: skip
"""Rows that only Almanac itself writes."""
ALONE: dict[str, set[str]] = {
    "pause_queue": {"Administrator"},
    "pause_everything": {"Scheduler", "Administrator"},
    "pause_schedule": {"Scheduler", "Sender", "Administrator"},
    "run_schedule": {"Scheduler", "Administrator"},
    "delete_schedule": {"Scheduler", "Administrator"},
    "add_schedule": {"Scheduler", "Administrator"},
    "change_schedule": {"Scheduler", "Administrator"},
    "run_cleanup": {"Scheduler", "Administrator"},
    "approve_cleanup": {"Administrator"},
    "download_archivepart": {"Administrator"},
    "add_hold": {"Administrator"},
    "delete_hold": {"Administrator"},
    "send_newsletter": {"Scheduler", "Sender", "Administrator"},
    "export_subscriber": {"Sender", "Administrator"},
    "cancel_run": {"Scheduler", "Sender", "Administrator"},
    "retry_run": {"Scheduler", "Sender", "Administrator"},
    "add_newsletter": {"Editor", "Sender", "Administrator"},
    "change_newsletter": {"Editor", "Sender", "Administrator"},
    "view_subscriber": {"Editor", "Sender", "Administrator"},
    "change_subscriber": {"Editor", "Sender", "Administrator"},
    "run_report": {"Scheduler", "Analyst", "Administrator"},
    "download_artefact": {"Analyst", "Administrator"},
    "change_reportdefinition": {"Analyst", "Administrator"},
    "view_reportquery": {"Analyst", "Administrator"},
    "add_reportquery": {"Administrator"},
    "change_reportquery": {"Administrator"},
    "approve_reportquery": {"Administrator"},
    "view_auditentry": {"Administrator"},
    "change_user": {"Administrator"},
    "change_group": {"Administrator"},
}
"""What only some may do."""


_sessions: dict[int, str] = {}
"""One session of each person, begun before the first door."""


def addresses() -> set[str]:
    """The names of every address of the site."""

    def walk(resolver: Any, space: str) -> Iterator[str]:
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver):
                yield from walk(entry, f"{space}{entry.namespace}:" if entry.namespace else space)
            elif isinstance(entry, URLPattern) and entry.name:
                yield f"{space}{entry.name}"

    return set(walk(get_resolver(), ""))


def roles() -> dict[str, set[tuple[str, str, str]]]:
    rows = json.loads((Path(settings.BASE_DIR) / "fixtures" / "roles.json").read_text())
    return {row["fields"]["name"]: {tuple(one) for one in row["fields"]["permissions"]} for row in rows}


def test_every_address_has_a_line_in_the_table() -> None:
    table = READS | set(DOORS) | set(PUBLIC) | CLOSED
    assert addresses() - table == set(), "say in tests/site/doors.py what these do"
    assert table - addresses() == set(), "these no longer exist"


def test_the_administrator_has_every_permission_of_ours() -> None:
    defined = {
        (codename, label, str(model._meta.model_name))
        for label in OURS
        for model in apps.get_app_config(label).get_models()
        for codename in (
            *(get_permission_codename(action, model._meta) for action in model._meta.default_permissions),
            *(name for name, _ in model._meta.permissions),
        )
    }
    held = roles()["Administrator"]
    assert defined - held == set(), "add these to Administrator in fixtures/roles.json"
    assert {one for one in held - defined if one[1] != "auth"} == set(), "these do not exist"


def test_no_role_has_a_permission_that_it_should_not_have() -> None:
    found = roles()
    assert tuple(found) == ROLES
    for name, held in found.items():
        codenames = {codename for codename, _, _ in held}
        if name != "Administrator":
            assert not {one for one in held if one[2] in MACHINERY and not one[0].startswith("view_")}, name
            assert not {one for one in held if one[1] == "auth"}, name
        assert {codename for codename, who in ALONE.items() if codename in codenames and name not in who} == set(), name
        assert {codename for codename, who in ALONE.items() if codename not in codenames and name in who} == set(), name
    assert all(codename.startswith("view_") for codename, _, _ in found["Viewer"])
    assert all(found["Viewer"] <= held for held in found.values())


@pytest.fixture(scope="module")
def people(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, User]]:
    """One person of each role, one without any, and a superuser; made once, for all doors."""
    with django_db_blocker.unblock():
        call_command("loaddata", "roles", verbosity=0)
        made = {name: User.objects.create_user(name, password="old-secret", is_staff=True) for name in (*ROLES, NOBODY)}
        for name in ROLES:
            made[name].groups.add(Group.objects.get(name=name))
        made["boss"] = User.objects.create_superuser("boss", password="old-secret")
        for user in made.values():
            _sessions[user.pk] = sign_in(user).cookies[settings.SESSION_COOKIE_NAME].value
        yield {name: User.objects.get(pk=user.pk) for name, user in made.items()}
        _sessions.clear()
        call_command("flush", interactive=False, verbosity=0)
        OutsideEdit.objects.all().delete()  # what the triggers noted of it


@pytest.fixture(scope="module")
def world(people: dict[str, User], django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One of everything, in the state in which its doors are open."""
    from cleanup import approval, holding
    from cleanup import services as cleanup
    from cleanup.models import ArchivePart, CleanupPolicy, CleanupRun
    from newsletters import imports
    from newsletters.models import (
        BounceMailbox,
        Delivery,
        ImportJob,
        Issue,
        LetterTemplate,
        List,
        Newsletter,
        Segment,
        Subscriber,
        SubscriberField,
        Subscription,
        Suppression,
    )
    from reports import keeping, share_links
    from reports import services as reports
    from reports.drafts import ReportDraft
    from reports.models import Artefact, ReportDelivery, ReportRecipient, ReportRun
    from reports.queries import services as queries
    from reports.queries.drafts import QueryDraft
    from runs import ledger
    from runs.states import Trigger
    from schedules import calendars, services
    from schedules.drafts import ScheduleDraft
    from schedules.models import HolidayCalendar, Schedule

    def issue(number: int, state: str, **values: Any) -> Issue:
        at = datetime(2026, 1, number, tzinfo=UTC)
        return Issue.objects.create(newsletter=letter, scheduled_for=at, subject="News", state=state, **values)

    def query(name: str, *, is_waiting: bool = False) -> Any:
        made = queries.save_query(None, QueryDraft(name, "SELECT 1 AS one"))
        if is_waiting:  # whoever may read the database is asked of the sandbox's own tests
            type(made).objects.filter(pk=made.pk).update(state="waiting")
            made.refresh_from_db()
        return made

    def a_run() -> Any:
        return ledger.plan(
            ledger.NewRun(kind="cleanup", target_id=policy.pk, target_label="Old", trigger=Trigger.MANUAL)
        )

    def large(name: str) -> CleanupPolicy:
        made = CleanupPolicy.objects.create(name=name, targets=["sessions"], days=30, approve_above_rows=1)
        cleanup.preview_policy(None, made.pk)
        return made

    with django_db_blocker.unblock():
        long_ago = datetime(2026, 1, 1, tzinfo=UTC)
        Session.objects.bulk_create(
            Session(session_key=f"old{n}", session_data="", expire_date=long_ago) for n in range(3)
        )
        asked = large("Asked")
        cleanup.ask_for_approval(None, asked.pk)
        cleaning = CleanupRun.objects.create(policy_name="Old", run_id=900_002, started_at=long_ago, state="done")
        kept = ArchivePart.objects.create(
            cleanup_run=cleaning, target="sessions", number=1, format="jsonl", database="sqlite", sha256="0" * 64
        )
        policy = CleanupPolicy.objects.create(name="Old", targets=["sessions"], days=30, is_enabled=True)
        cleanup.preview_policy(None, policy.pk)
        nightly = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
        schedule = services.create_schedule(None, nightly)
        weekly = ScheduleDraft.for_kind("cleanup", name="Weekly", target_id=policy.pk, expression="30 3 * * 1")
        paused = services.create_schedule(None, weekly)
        services.pause_schedule(None, paused.pk, reason="x")
        Schedule.objects.filter(pk=schedule.pk).update(created_at=datetime(2026, 1, 1, tzinfo=UTC))
        readers = List.objects.create(name="Readers", slug="readers", public=True)
        letter = Newsletter.objects.create(name="Letter", subject="News", body="Hello")
        letter.lists.add(readers)
        failed = issue(1, Issue.State.SENT_WITH_PROBLEMS, planned=2, failed=1, uncertain=1)
        for position, state in enumerate((Delivery.State.FAILED, Delivery.State.UNCERTAIN)):
            reader = Subscriber.objects.create(email=f"r{position}@example.org", email_norm=f"r{position}@example.org")
            Delivery.objects.create(
                issue=failed, subscriber=reader, email=reader.email, email_norm=reader.email_norm, state=state
            )
        ended = a_run()
        ledger.request_cancel(ended)
        failed_run = a_run()
        claimed = ledger.claim(failed_run.pk, "w")
        assert claimed is not None
        ledger.fail(claimed, "No.", may_retry=False)
        reader = Subscriber.objects.get(email="r0@example.org")
        Subscription.objects.create(subscriber=reader, list=readers, state=Subscription.State.CONFIRMED)
        spare = Newsletter.objects.create(name="Spare", subject="News", body="Hello")
        spare.lists.add(readers)

        def upload() -> SimpleUploadedFile:
            file = BytesIO()
            Picture.new("RGB", (4, 4)).save(file, "PNG")
            return SimpleUploadedFile("dot.png", file.getvalue(), "image/png")

        def table() -> SimpleUploadedFile:
            return SimpleUploadedFile("readers.csv", b"mail\na@example.org\n", "text/csv")

        def an_import(state: str, **values: Any) -> ImportJob:
            job = imports.upload_file(None, table())
            ImportJob.objects.filter(pk=job.pk).update(state=state, **values)
            return job

        person = Subscriber.objects.create(email="s@example.org", email_norm="s@example.org")
        field = SubscriberField.objects.create(key="district", label="District")
        numbers = reports.create_definition(None, ReportDraft(name="Numbers", data_set="deliveries_per_day"))
        may, june = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
        made = ReportRun.objects.create(
            definition=numbers,
            name="Numbers",
            run_id=900_001,
            scheduled_for=june,
            period="May",
            window_start=may,
            window_end=june,
            state="succeeded",
        )
        Artefact.objects.create(
            report_run=made, file_name="x.csv", byte_count=1, row_count=1, sha256="0" * 64,
            expires_at=datetime.now(UTC) + timedelta(days=5),
        )  # fmt: skip
        mailed = reports.create_definition(None, ReportDraft(name="Mailed", data_set="deliveries_per_day"))
        outside = ReportRecipient.objects.create(definition=mailed, address="kim@partner.example")
        missed = ReportDelivery.objects.create(
            report_run=made, recipient=outside, address=outside.address, channel="mail", state="failed"
        )
        share_link, share_token = share_links.make(missed, datetime(2099, 1, 1, tzinfo=UTC))
        return {
            "report": reports.create_definition(None, ReportDraft(name="Spare", data_set="deliveries_per_day")),
            "made_report": made, "waiting_report": keeping.make_again(None, made.pk, key="x"), "table": table, "new_import": an_import("uploaded"), "checked_import": an_import("checked", rows=1, added=1),
            "stopped_import": an_import("running", rows=1),
            "segment": Segment.objects.create(name="Spare", rule={"all": [{"about": "bounced", "op": "never"}]}),
            "subscription": Subscription.objects.create(subscriber=person, list=readers, state="confirmed"),
            "suppression": Suppression.objects.create(address_hash="x", email_norm="x@example.org"), "field": field,
            "policy": policy, "schedule": schedule, "paused": paused, "list": readers, "newsletter": spare,
            "mailbox": BounceMailbox.objects.create(),
            "layout": LetterTemplate.objects.create(name="Spare", source="<p>{{ content }}</p>"),
            "spare_list": List.objects.create(name="Spare", slug="spare"), "failed_issue": failed,
            "draft_issue": issue(4, Issue.State.DRAFT, body="Hello"), "submitted_issue": issue(5, Issue.State.APPROVAL, body="Hello"),
            "running_issue": issue(2, Issue.State.RUNNING), "paused_issue": issue(3, Issue.State.PAUSED),
            "subscriber": person,
            "calendar": calendars.save_calendar(None, HolidayCalendar(), name="Home", country="DE"),
            "share_link": share_link, "share_token": share_token, "missed_report": made, "outside": outside,
            "spare_query": query("Spare"), "waiting_query": query("Waiting", is_waiting=True),
            "hold": holding.add_hold(None, target="sessions", object_id="old0", reason="x"), "ended_run": ended,
            "large_policy": large("Large"), "asked_policy": asked, "archive": kept,
            "seen": lambda: cleanup.seen_of(_there(approval.waiting(asked))),
            "failed_run": failed_run, "queue": "reports", "startable": f"cleanup:{policy.pk}", "open_run": a_run(), "person": User.objects.create_user("victim", is_staff=True),
            "role": Group.objects.create(name="Spare"), "upload": upload,
        }  # fmt: skip


def _there(asked: CleanupApproval | None) -> CleanupApproval:
    assert asked is not None
    return asked


def sign_in(user: User, *, careful: bool = False) -> Client:
    """A program's client: refusals come as a line of text, which is quicker than a page each time."""
    client = Client(enforce_csrf_checks=careful, headers={"accept": "text/plain"})
    if user.pk in _sessions:
        client.cookies[settings.SESSION_COOKIE_NAME] = _sessions[user.pk]
    else:
        client.force_login(user)
    return client


def address(name: str, world: World) -> str:
    door = DOORS[name]
    row = world.get(door.row)
    return reverse(name, args=[row if isinstance(row, str) else row.pk] if row is not None else [])


def data_of(door: Door, page: Any, world: World) -> Data:
    """What a person would send: the values that the form shows, with some changed."""
    chosen = dict(door.data(world)) if callable(door.data) else dict(door.data)
    context = getattr(page, "context", None) if door.is_form else None
    admin_form = context.get("adminform") if context else None
    shown = {}
    if admin_form is not None:
        for name in admin_form.form.fields:
            value = admin_form.form[name].value()
            if value not in (None, "") and value is not False and name != "password":
                shown[name] = [getattr(one, "pk", one) for one in value] if isinstance(value, list) else value
    shown = {name: value for name, value in shown.items() if not isinstance(value, datetime)}
    return {**shown, **chosen}


def entries(user: User, *, refused: bool) -> int:
    return AuditEntry.objects.filter(actor=user, was_refused=refused).count()


def drain(response: Any) -> None:
    if response.streaming:
        b"".join(response.streaming_content)


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(DOORS))
def test_a_door_opens_for_those_who_may_and_for_nobody_else(
    name: str, people: dict[str, User], world: World, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = settings.FILES_DIR = tmp_path
    door, url, boss = DOORS[name], address(name, world), people["boss"]
    shown = sign_in(boss).get(url)
    is_page = door.is_form or name in QUESTIONS | READS or name in ("admin:my_settings", "admin:password_change")
    assert shown.status_code == (200 if is_page else 405)
    data = data_of(door, shown, world)

    assert Client().post(url, data).status_code == 302, "without an account, to the sign-in page"
    assert sign_in(boss, careful=True).post(url, data).status_code == 403, "without a token"
    assert (entries(boss, refused=True), entries(boss, refused=False)) == (1, 0)
    assert "not sent from our own page" in AuditEntry.objects.get(actor=boss).reason

    opened = 0
    for person in (people[name] for name in (*ROLES, NOBODY)):
        may = all(person.has_perm(permission) for permission in door.needs)
        client, data = sign_in(person), data_of(door, shown, world)
        with transaction.atomic():
            if door.prepare is not None:
                door.prepare(person)
            response = client.post(url, data)
            drain(response)
            assert response.status_code in ((200, 302) if may else (403,)), f"{person}: {_said(response)}"
            assert entries(person, refused=True) == (0 if may else 1), f"{person}: {_said(response)}"
            done = entries(person, refused=False)
            assert done >= 1 if may and door.leaves_entry else done == 0, f"{person}: {_said(response)}"
            opened += may
            transaction.set_rollback(True)
    assert opened >= 1 and (opened < len(ROLES) + 1 or not door.needs)


def _said(response: Any) -> str:
    """What a form complained of, for the message of a failing test."""
    context = getattr(response, "context", None)
    form = context.get("adminform") if context else None
    return f"{response.status_code} {dict(form.form.errors) if form else response.headers.get('Location', '')}"


@pytest.mark.django_db
def test_what_only_shows_something_changes_nothing_and_is_refused_to_others(
    people: dict[str, User], world: World
) -> None:
    boss, nobody = sign_in(people["boss"]), sign_in(people[NOBODY])
    lists = sorted(name for name in READS if name.endswith("_changelist"))
    assert {name: nobody.get(reverse(name)).status_code for name in lists} == dict.fromkeys(lists, 403)
    sent = {name: nobody.post(reverse(name)).status_code for name in lists}
    assert set(sent.values()) <= {403, 405}
    refused = list(sent.values()).count(403)
    assert entries(people[NOBODY], refused=True) == len(lists) + refused, "one for looking and one for sending, each"
    assert {boss.post(reverse(name)).status_code for name in lists} <= {200, 302, 405}
    assert entries(people["boss"], refused=False) == 0


@pytest.mark.django_db
def test_what_is_closed_is_closed_for_everybody(people: dict[str, User], world: World) -> None:
    boss = sign_in(people["boss"])
    for name in sorted(one for one in CLOSED if one.endswith("_add")):
        assert boss.post(reverse(name), {}).status_code == 403, name
    rows = {"admin:newsletters_subscriber_delete": "subscriber", "admin:runs_run_delete": "ended_run"}
    for name, row in rows.items():
        assert boss.post(reverse(name, args=[world[row].pk]), {"post": "yes"}).status_code == 403, name


@pytest.mark.django_db
def test_readers_pages_change_nothing_by_get_and_ask_for_a_token(world: World) -> None:
    from newsletters import tokens
    from newsletters.models import Subscription
    from reports import unsubscribing

    reader, chosen = world["subscriber"], world["list"]
    place = Subscription.objects.get(subscriber=reader, list=chosen)
    place.state = Subscription.State.PENDING
    place.save()
    arguments = {
        "newsletters:unsubscribe": [tokens.unsubscribe_token(tokens.Unsubscribe(reader.pk, world["newsletter"].pk))],
        "newsletters:confirm": [tokens.confirmation_token(tokens.Confirmation(reader.pk, (chosen.pk,)))],
        "newsletters:preferences": [tokens.preferences_token(reader.pk, reader.email_norm)],
        "newsletters:new_address": [tokens.new_address_token(reader, "s2@example.org")],
        "newsletters:my_data": [tokens.request_token(tokens.DATA, reader)],
        "newsletters:erase": [tokens.request_token(tokens.ERASE, reader)],
        "reports:link": [world["share_token"]],
        "reports:leave": [unsubscribing.token_of(world["outside"].pk)],
    }
    urls = {name: reverse(name, args=arguments.get(name, [])) for name in PUBLIC}
    for name, url in urls.items():
        assert Client(enforce_csrf_checks=True).get(url).status_code == 200, name
    place.refresh_from_db()
    reader.refresh_from_db()
    assert (place.state, reader.email) == ("pending", "s@example.org")
    answers = {"reports:link": 404}  # it takes the name of a file as well
    for name, url in urls.items():
        refused = 422 if name in FROM_ELSEWHERE else 403
        with transaction.atomic():
            answer = Client(enforce_csrf_checks=True).post(url, {})
            assert answer.status_code == (answers.get(name, 200) if name in WITHOUT_TOKEN else refused), name
            transaction.set_rollback(True)
    assert not AuditEntry.objects.filter(was_refused=True).exists(), "anonymous attempts fill no table"


@pytest.mark.django_db
def test_a_refusal_inside_a_transaction_that_is_rolled_back_is_kept(
    people: dict[str, User], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin lets the person in; the service, inside the admin's transaction, does not."""
    from cleanup.policy_admin import CleanupPolicyAdmin

    monkeypatch.setattr(CleanupPolicyAdmin, "has_change_permission", lambda *_, **__: True)
    client, url = sign_in(people["Viewer"]), reverse("admin:cleanup_cleanuppolicy_change", args=[world["policy"].pk])
    data = {"name": "Mine", "targets": ["sessions"], "days": 60, "max_rows": ""}
    assert client.post(url, data).status_code == 403
    (entry,) = AuditEntry.objects.filter(actor=people["Viewer"])
    assert entry.was_refused and entry.reason == "lacks cleanup.change_cleanuppolicy"
    assert entry.object_label == "Old"


@pytest.mark.django_db
def test_a_flood_of_refused_attempts_is_counted_and_does_not_fill_the_table(
    people: dict[str, User], world: World
) -> None:
    person, other = people[NOBODY], people["Viewer"]
    client, url = sign_in(person), reverse("admin:schedules_schedule_pause", args=[world["schedule"].pk])
    for _ in range(5):
        client.post(url, {"reason": "secret words"})
    (entry,) = AuditEntry.objects.filter(actor=person)
    assert (entry.action, entry.object_label, entry.after) == ("pause the schedule", "Nightly", {"attempts": 5})
    assert "secret" not in entry.reason and url in entry.reason
    for number in range(70):
        client.post(reverse("admin:runs_run_cancel", args=[world["open_run"].pk]) + f"?{number}")
        client.get(f"/admin/runs/run/{number}/log/")
    assert AuditEntry.objects.filter(actor=person).count() == 61
    assert AuditEntry.objects.filter(actor=person, action="made further attempts").get().after["attempts"] > 10
    sign_in(other).post(url, {"reason": "x"})
    assert AuditEntry.objects.filter(actor=other).count() == 1, "others are still recorded one by one"


@pytest.mark.django_db
def test_somebody_who_is_no_staff_is_turned_away_and_noted(people: dict[str, User], world: World) -> None:
    reader = User.objects.create_user("reader")
    answer = sign_in(reader).post(reverse("admin:runs_run_cancel", args=[world["open_run"].pk]))
    assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    assert AuditEntry.objects.get(actor=reader).reason.startswith("is not staff")
