from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from reports import deliveries, sources, storage, telling
from reports.datasets import registry
from reports.datasets.registry import Column, Kind
from reports.models import ReportDefinition, ReportRun
from runs import clock, ledger, rescue
from runs.models import Notice, Run
from runs.states import State, Trigger
from schedules.tasks import run_job
from tests.reports.mail_house import PUBLIC_URL, House

Define = Callable[..., ReportDefinition]
Reader = Callable[[str], User]


@pytest.fixture
def owner(reader: Reader) -> User:
    return reader("olga")


@pytest.fixture
def owned(define: Define, owner: User) -> Callable[..., ReportDefinition]:
    def make(**values: Any) -> ReportDefinition:
        definition = define(**values)
        ReportDefinition.objects.filter(pk=definition.pk).update(owner=owner)
        return ReportDefinition.objects.get(pk=definition.pk)

    return make


@pytest.fixture
def faulty() -> Iterator[None]:
    def rows(window: Any) -> Iterator[tuple[int]]:
        yield (1,)
        raise RuntimeError("the rows broke off")

    registry.register(registry.DataSet("faulty", "Faulty", (Column("n", "N", Kind.INTEGER),), rows=rows))
    yield
    registry._registry.pop("faulty")


def _query(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    definition: ReportDefinition = owned(data_set="faulty")
    return definition


def _schema(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    def unreadable(*_: Any) -> Any:
        raise sources.Unreadable("“Bounces” is no longer in Deliveries. Choose again.")

    patch.setattr(sources, "of", unreadable)
    definition: ReportDefinition = owned()
    return definition


def _storage(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    def full(*_: Any, **__: Any) -> Any:
        raise storage.StorageError("The disk is full: the report file could not be written.")

    patch.setattr(storage.DraftFile, "seal", full)
    definition: ReportDefinition = owned()
    return definition


def _data_set(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    definition: ReportDefinition = owned()
    ReportDefinition.objects.update(data_set="gone")
    return definition


def _days(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    definition: ReportDefinition = owned()
    ReportDefinition.objects.update(period="never")
    return definition


def _publishing(owned: Any, patch: pytest.MonkeyPatch) -> ReportDefinition:
    def broken(*_: Any) -> None:
        raise PermissionError("not yours")

    patch.setattr(deliveries, "plan", broken)
    definition: ReportDefinition = owned()
    return definition


@pytest.mark.parametrize(
    ("inject", "why"),
    [
        (_query, "the rows broke off"), (_schema, "is no longer in Deliveries"), (_storage, "The disk is full"),
        (_data_set, "no longer available"), (_days, "cannot be worked out"), (_publishing, "not yours"),
    ],
)  # fmt: skip
def test_whoever_answers_for_a_report_hears_of_every_failure(
    house: House, faulty: None, owned: Define, owner: User, monkeypatch: pytest.MonkeyPatch, inject: Any, why: str
) -> None:
    definition = inject(owned, monkeypatch)
    run = house.make(definition)
    assert run.state == State.FAILED
    house.work()
    (mail,) = house.server.received
    assert mail.recipient == "olga@example.org" and mail.mail["Subject"] == "“Numbers” could not be made"
    assert why in " ".join(mail.body("plain").split()) and f"{PUBLIC_URL}/admin/" in mail.body("plain")
    (notice,) = Notice.objects.filter(user=owner, text__startswith="“Numbers” could not be made: ")
    assert why in str(notice)


def test_a_worker_that_dies_is_told_of_as_well(house: House, owned: Define, owner: User) -> None:
    definition = owned()
    run = ledger.plan(
        ledger.NewRun(kind="report", target_id=definition.pk, target_label="Numbers", trigger=Trigger.MANUAL)
    )
    for _ in range(3):
        assert ledger.claim(run.pk, "worker") is not None
        Run.objects.filter(pk=run.pk).update(lease_until=clock.now() - timedelta(minutes=5))
        rescue.rescue(clock.now())
    assert Run.objects.get(pk=run.pk).state == State.FAILED
    house.work()
    (mail,) = house.server.received
    assert "The worker stopped in the middle 3 times." in mail.body("plain")


def test_it_is_told_once_however_often_it_is_called(house: House, owned: Define, owner: User, faulty: None) -> None:
    house.make(owned(data_set="faulty"))
    report_run = ReportRun.objects.get()
    for _ in range(3):
        telling.tell_of_failure(Run.objects.get(pk=report_run.run_id), report_run, "again")
    house.work()
    assert len(house.server.received) == 1 and Notice.objects.filter(user=owner).count() == 1


def test_each_failed_run_is_told_of(house: House, owned: Define, owner: User, faulty: None) -> None:
    definition = owned(data_set="faulty")
    house.make(definition)
    house.make(definition)
    house.work()
    assert len(house.server.received) == 2


@pytest.mark.parametrize("case", ["gone", "disabled"])
def test_administrators_hear_of_it_where_nobody_answers(
    house: House, owned: Define, owner: User, faulty: None, case: str
) -> None:
    boss = User.objects.create_superuser("boss", "boss@example.org")
    definition = owned(data_set="faulty")
    if case == "gone":
        owner.delete()
    else:
        User.objects.filter(pk=owner.pk).update(is_active=False)
    house.make(definition)
    house.work()
    (mail,) = house.server.received
    assert mail.recipient == "boss@example.org" and "because you are an administrator" in mail.body("plain")
    assert Notice.objects.filter(user=boss, text__startswith="“Numbers” could not be made").exists()


def test_a_report_that_was_deleted_meanwhile_is_told_to_administrators(house: House, owned: Define) -> None:
    User.objects.create_superuser("boss", "boss@example.org")
    definition = owned()
    run = ledger.plan(
        ledger.NewRun(kind="report", target_id=definition.pk, target_label="Numbers", trigger=Trigger.MANUAL)
    )
    definition.delete()
    run_job(run.pk)
    house.work()
    (mail,) = house.server.received
    assert "no longer exists" in mail.body("plain")


def test_whoever_asked_for_it_hears_of_its_failure(house: House, owned: Define, reader: Reader, faulty: None) -> None:
    ann = reader("ann")
    house.make(owned(data_set="faulty"), asked_by=ann)
    assert Notice.objects.filter(user=ann, text__startswith="“Numbers” could not be made").count() == 1


def test_a_report_that_was_cancelled_did_not_fail(house: House, owned: Define, owner: User) -> None:
    definition = owned()
    run = ledger.plan(
        ledger.NewRun(kind="report", target_id=definition.pk, target_label="Numbers", trigger=Trigger.MANUAL)
    )
    claimed = ledger.claim(run.pk, "worker")
    assert claimed is not None
    ledger.cancelled(claimed, "Somebody asked for it.")
    house.work()
    assert house.server.received == [] and not Notice.objects.exists()


def test_the_mail_outlasts_a_mail_server_that_is_away(
    house: House, owned: Define, owner: User, faulty: None, settings: Any
) -> None:
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 9
    house.make(owned(data_set="faulty"))
    for _ in range(7):
        house.later(minutes=10)
    assert house.server.received == []
    settings.EMAIL_PORT = port
    house.later(hours=2)
    assert house.to("olga@example.org")


def test_what_was_made_and_not_sent_is_told_to_whoever_asked(house: House, owned: Define, reader: Reader) -> None:
    ann, definition = reader("ann"), owned()
    run = ledger.plan(
        ledger.NewRun(
            kind="report", target_id=definition.pk, target_label="Numbers", trigger=Trigger.MANUAL, requested_by=ann
        )
    )
    now = clock.now()
    ReportRun.objects.create(
        definition=definition, name="Numbers", run_id=run.pk, scheduled_for=now, period="x", window_start=now,
        window_end=now, state=ReportRun.State.SKIPPED,
    )  # fmt: skip
    claimed = ledger.claim(run.pk, "worker")
    assert claimed is not None
    ledger.finish(claimed, "It has no rows, so it was not sent.")
    assert str(Notice.objects.get(user=ann)) == ("“Numbers” was made and not sent. It has no rows, so it was not sent.")


def test_a_long_list_of_those_missed_is_cut_short(house: House, owned: Define) -> None:
    house.make(owned())
    telling.tell_of_trouble(ReportRun.objects.get(), [f"reader{number}@example.org: no" for number in range(30)])
    house.work()
    (mail,) = house.server.received
    assert "reader19@" in mail.body("plain") and "reader20@" not in mail.body("plain")
    assert "- and 10 more" in mail.body("plain")
