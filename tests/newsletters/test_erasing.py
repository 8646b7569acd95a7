"""Erasing a person: no address is left anywhere in the database, and nothing is ever sent to it again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from pytest_django import Settings

from newsletters import (
    audience,
    erasing,
    imports,
    links,
    preferences,
    preparing,
    services,
    subscribers,
    subscriptions,
    tokens,
)
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
    Suppression,
)
from runs.models import Alert, AuditEntry, Notice, Run, RunEvent
from schedules import events
from schedules.tasks import run_job
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db
ADDRESS, FORMER = "Zoë.Müller@Example.org", "old-zoe@example.com"
NORM = "zoë.müller@example.org"
TRACES = ("zoë.müller@", "zo\\u00eb.m\\u00fcller@", "old-zoe@", "zoë müller", "porto")


@pytest.fixture
def person(letter: Newsletter, city_news: List) -> Subscriber:
    """Somebody of whom there is a trace in every place that could hold one."""
    boss = User.objects.create_superuser("boss")
    reader = subscribers.save_subscriber(
        boss, Subscriber(email=FORMER, name="Zoë Müller", attributes={"city": "Porto"}), [city_news]
    )
    first = preparing.issue_for(letter, DUE)
    reader.email = ADDRESS
    subscribers.save_subscriber(boss, reader)
    second = preparing.issue_for(letter, DUE.replace(year=2027))
    for issue in (first, second):
        delivery = Delivery.objects.get(issue=issue)
        Delivery.objects.filter(pk=delivery.pk).update(
            merge={"city": "Porto"}, text=f"550 5.1.1 <{delivery.email}> unknown", state=Delivery.State.FAILED
        )
        ReaderEvent.objects.create(
            kind="hard", subscriber=reader, delivery=delivery, text=f"<{delivery.email}> unknown"
        )
    services.suppress(boss, ADDRESS, note=f"{ADDRESS} asked by phone")
    run = events.start("confirmation_mail", reader, parameters={"lists": [city_news.pk]})
    Run.objects.filter(pk=run.pk).update(target_label=str(reader), result=f"Mailed {ADDRESS}", error=f"no {NORM}")
    RunEvent.objects.create(run=run, message=f"The server refused <{ADDRESS.upper()}>.")
    Alert.objects.create(key="k", title="Bounces", detail=f"{ADDRESS} bounced", first_seen_at=DUE, last_seen_at=DUE)
    Notice.objects.create(user=boss, text=f"{ADDRESS} wrote to us")
    job = ImportJob.objects.create(file="x")
    ImportProblem.objects.create(job=job, row=2, kind="suppressed", value=ADDRESS, message=f"“{NORM}” opted out.")
    FeedbackMessage.objects.create(name="Zoë Müller", email=ADDRESS.lower(), text="Hello")
    FeedbackMessage.objects.create(name="Bo", email="bo@example.org", text=f"Write to {ADDRESS}, please")
    LogEntry.objects.create(user=boss, action_flag=2, object_repr=str(reader), change_message=ADDRESS)
    return reader


def everything_stored() -> str:
    """Every value of every table, as one text."""
    texts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            texts += [f"{table}: {row}" for row in cursor.fetchall()]
    return "\n".join(texts).lower()


def test_no_address_is_left_anywhere_in_the_database(person: Subscriber) -> None:
    before = everything_stored()
    assert all(trace in before for trace in ("zoë.müller@", "old-zoe@", "zoë müller", "porto"))
    erasing.erase(None, person.pk, ADDRESS)
    left = everything_stored()
    assert [line for line in left.splitlines() if any(trace in line for trace in TRACES)] == []
    assert Delivery.objects.filter(email=erasing.ERASED, state=Delivery.State.FAILED).count() == 2, "the counts stay"
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.object_label) == ("erased a person", "an erased person")
    assert AuditEntry.objects.filter(action="added the subscriber", actor_name="boss").exists(), "who did what stays"
    assert FeedbackMessage.objects.filter(text="Write to an erased person, please").exists()


def test_a_reader_who_asks_is_erased_by_a_worker_and_reached_by_nothing_meanwhile(
    person: Subscriber, settings: Settings, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT, settings.LEASE_SECONDS = tmp_path, 3600
    ImportJob.objects.all().delete()
    theirs = _upload(f"mail\n{ADDRESS}\n", "utf-8")
    with django_capture_on_commit_callbacks(execute=True):
        preferences.erase(tokens.read_request(tokens.ERASE, links.erase_url(person).rstrip("/").rsplit("/", 1)[1]))
    theirs.refresh_from_db()
    assert theirs.file, "the page does not wait until files are read"
    assert audience.suppressed_among([NORM]) == {NORM}
    with django_capture_on_commit_callbacks(execute=True):
        run_job(Run.objects.get(kind=erasing.KIND).pk)
    assert [line for line in everything_stored().splitlines() if any(trace in line for trace in TRACES)] == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert Run.objects.get(kind=erasing.KIND).result == "Erased."


def test_an_erased_address_stays_suppressed_whoever_brings_it_back(person: Subscriber, city_news: List) -> None:
    erasing.erase(None, person.pk, ADDRESS)
    assert audience.suppressed_among([NORM]) == {NORM}
    row = Suppression.objects.get()
    assert (row.email_norm, row.note, row.reason) == ("", "", "erased")
    with pytest.raises(ValidationError, match="asked to be erased"):
        subscribers.save_subscriber(None, Subscriber(email=ADDRESS), [city_news])
    subscriptions.sign_up(ADDRESS, NORM, "Zoë", [city_news])
    assert not Subscription.objects.filter(state="confirmed").exists(), (
        "only a confirmed wish of their own brings them back"
    )
    assert audience.suppressed_among([NORM]) == {NORM}


def test_a_changed_key_does_not_bring_them_back(person: Subscriber, settings: Settings) -> None:
    erasing.erase(None, person.pk, ADDRESS)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of the same installation, long enough"
    assert audience.suppressed_among([NORM]) == {NORM}
    with pytest.raises(ValidationError, match="asked to be erased"):
        subscribers.save_subscriber(None, Subscriber(email=ADDRESS))


def test_the_right_address_must_be_typed(person: Subscriber) -> None:
    for typed in ("", "somebody@example.org", "not an address", FORMER):
        with pytest.raises(ValidationError) as refused:
            erasing.erase(None, person.pk, typed)
        assert "not their address" in refused.value.message_dict["address"][0]
    assert Subscriber.objects.filter(pk=person.pk).exists()
    erasing.erase(None, person.pk, "  zoë.müller@EXAMPLE.org ")
    assert not Subscriber.objects.exists()


def test_nobody_else_is_touched(person: Subscriber, city_news: List, letter: Newsletter) -> None:
    add_readers(city_news, 2, prefix="zoe")
    longer = [f"mc{NORM}", f"{NORM}.au", f"x.{FORMER}"]
    for address in longer:
        services.suppress(None, address)
        Alert.objects.create(key=address, title=address, first_seen_at=DUE, last_seen_at=DUE)
        ImportProblem.objects.create(
            job=ImportJob.objects.create(file="y"), row=1, kind="wrong", value=address, message="No."
        )
    issue = preparing.issue_for(letter, DUE.replace(year=2028))
    erasing.erase(None, person.pk, ADDRESS)
    others = issue.deliveries.exclude(email=erasing.ERASED).order_by("email")
    assert list(others.values_list("email", "name")) == [
        ("zoe0@example.org", "Reader 0"), ("zoe1@example.org", "Reader 1"),
    ]  # fmt: skip
    assert Subscriber.objects.count() == 2
    assert sorted(Alert.objects.exclude(key="k").values_list("title", flat=True)) == sorted(longer)
    assert sorted(ImportProblem.objects.filter(row=1).values_list("value", flat=True)) == sorted(longer)
    assert set(AuditEntry.objects.values_list("object_label", flat=True)) >= set(longer)


def test_a_reader_erased_between_the_snapshot_and_the_sending_is_left_out(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Callable[..., Run]
) -> None:
    readers = add_readers(city_news, 3)
    issue = preparing.issue_for(letter, DUE)
    erasing.erase(None, readers[1].pk, "reader1@example.org")
    perform(letter)
    issue.refresh_from_db()
    assert sorted(smtp_server.recipients) == ["reader0@example.org", "reader2@example.org"]
    assert (issue.state, issue.sent, issue.skipped) == (Issue.State.SENT, 2, 1)


def test_erasing_takes_its_own_permission_and_asks_first(client: Client, city_news: List) -> None:
    reader = add_readers(city_news, 1)[0]
    editor = User.objects.create_user("ed", is_staff=True)
    editor.user_permissions.add(*Permission.objects.filter(codename__in=["view_subscriber", "change_subscriber"]))
    address = f"/admin/newsletters/subscriber/{reader.pk}/erase/"
    client.force_login(editor)
    assert client.post(address, {"address": reader.email}).status_code == 403
    with pytest.raises(PermissionDenied):
        erasing.erase(editor, reader.pk, reader.email)
    client.force_login(User.objects.create_superuser("boss"))
    assert client.get(address).status_code == 405
    question = client.post(address).content.decode()
    assert "a keyed hash of the address" in question
    wrong = client.post(address, {"address": "x@example.org"}).content.decode()
    assert "This is not their address" in wrong
    assert 'value="x@example.org"' in wrong
    assert Subscriber.objects.exists()
    assert client.post(address, {"address": reader.email}).status_code == 302
    assert not Subscriber.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_an_uploaded_file_that_names_them_goes_and_others_stay(
    person: Subscriber, settings: Settings, tmp_path: Path, encoding: str, django_capture_on_commit_callbacks: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    ImportJob.objects.all().delete()
    filler = "somebody@example.org;Porto\n" * 60_000  # longer than what is read at once
    theirs = _upload(f"mail;city\n{filler}{ADDRESS};Porto\n", encoding)
    others = _upload(f"mail;city\nnobody@example.org;Zürich\n{filler}", encoding)
    with django_capture_on_commit_callbacks(execute=True):
        erasing.remove(None, person)
    theirs.refresh_from_db()
    others.refresh_from_db()
    assert (theirs.file.name, theirs.state) == ("", ImportJob.State.CANCELLED)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [str(others.public_id)]


def _upload(text: str, encoding: str) -> ImportJob:
    return imports.upload_file(None, SimpleUploadedFile("readers.csv", text.encode(encoding)))
