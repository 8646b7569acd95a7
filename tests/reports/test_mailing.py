from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from reports import keeping, mailing, mailing_again, recipients, running
from reports.datasets import registry
from reports.datasets.registry import Column, Kind
from reports.models import Artefact, ReportDefinition, ReportDelivery, ReportRecipient, ReportRun, ShareLink
from runs import clock, ledger
from runs.models import AuditEntry, Notice, Run
from runs.states import State
from runs.tasks import RunContext
from schedules.tasks import run_job
from tests.reports.mail_house import House, goes_to, states

Define = Callable[..., ReportDefinition]
Reader = Callable[[str], User]
SENT, FAILED, LEFT_OUT, TRIED_AGAIN = "sent", "failed", "left_out", "waiting"


@pytest.fixture
def owner(reader: Reader) -> User:
    return reader("olga")


@pytest.fixture
def report(define: Define, owner: User) -> ReportDefinition:
    definition = define()
    ReportDefinition.objects.filter(pk=definition.pk).update(owner=owner)
    return ReportDefinition.objects.get(pk=definition.pk)


def told(user: User) -> list[str]:
    return [str(one) for one in Notice.objects.filter(user=user).order_by("pk")]


def test_everybody_gets_one_mail_of_their_own(house: House, report: ReportDefinition, reader: Reader) -> None:
    group = Group.objects.create(name="Board")
    ann, ben = reader("ann"), reader("ben")
    ben.groups.add(group)
    ann.groups.add(group)  # named, and in the group: still one mail
    goes_to(report, ann, group, "kim@partner.example", "ANN@example.org".lower())
    report_run = house.send(report)
    everybody = ["ann@example.org", "ben@example.org", "kim@partner.example"]
    assert sorted(house.server.recipients) == everybody
    assert states(report_run) == dict.fromkeys(everybody, SENT)
    for mail in house.server.received:
        others = set(everybody) - {mail.recipient}
        assert not [one for one in others if one.encode() in mail.raw], "nobody sees another"
        assert mail.mail["To"] == mail.recipient and mail.mail["Cc"] is None
    assert house.work() == [] and len(house.server.received) == 3


def test_the_mail_names_the_report_its_days_and_where_it_is(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    goes_to(report, reader("ann"))
    report_run = house.send(report)
    (mail,) = house.server.received
    assert mail.mail["Subject"] == "Numbers, 9 to 15 November 2026"
    assert mail.mail["From"] == "City Desk <desk@example.org>" and mail.mail["Auto-Submitted"] == "auto-generated"
    assert mail.mail["List-Unsubscribe"] is None, "staff leave by their desk"
    for kind in ("plain", "html"):
        body = mail.body(kind)
        assert "9 to 15 November 2026, Europe/Berlin" in body and "Numbers" in body
        assert re.search(rf"https://news\.example\.org/admin/\S*/({report_run.pk}|{report_run.run_id})/", body)
    assert not ShareLink.objects.exists(), "who has an account needs no link"


def test_what_is_incomplete_says_so_in_subject_and_text(house: House, define: Define, reader: Reader) -> None:
    definition = define(row_cap=3)
    goes_to(definition, reader("ann"))
    house.send(definition)
    (mail,) = house.server.received
    assert mail.mail["Subject"] == "Numbers, 9 to 15 November 2026 INCOMPLETE"
    assert "INCOMPLETE. Only the first 3 rows are there" in mail.body("plain")
    assert "Only the first 3 rows are there" in mail.body("html")


def test_somebody_who_lost_the_right_is_left_out_in_words_and_the_owner_is_told_once(
    house: House, report: ReportDefinition, reader: Reader, staff: Callable[..., User], owner: User
) -> None:
    gone, viewer, silent, ann = (
        reader("gone"),
        staff("viewer", "reports.view_artefact"),
        reader("silent"),
        reader("ann"),
    )
    User.objects.filter(pk=gone.pk).update(is_active=False)
    User.objects.filter(pk=viewer.pk).update(email="viewer@example.org")
    User.objects.filter(pk=silent.pk).update(email="")
    goes_to(report, gone, viewer, silent, ann, "x@elsewhere.example")
    report_run = house.send(report)
    assert states(report_run) == {
        "gone@example.org": LEFT_OUT, "viewer@example.org": LEFT_OUT, "silent": LEFT_OUT, "ann@example.org": SENT,
        "x@elsewhere.example": LEFT_OUT,
    }  # fmt: skip
    why = set(ReportDelivery.objects.filter(state=LEFT_OUT).values_list("why", flat=True))
    assert why == {
        recipients.DISABLED, recipients.NO_PERMISSION, recipients.NO_ADDRESS, recipients.OTHER_DOMAIN
    }  # fmt: skip
    (notice,) = told(owner)
    assert notice.startswith("“Numbers” did not reach everybody: gone@example.org: This account is disabled.")
    (mail,) = house.to("olga@example.org")
    assert mail.mail["Subject"] == "“Numbers” did not reach everybody"
    assert all(one in mail.body("plain") for one in why)


def test_what_a_report_lists_may_need_a_right_of_its_own(
    house: House, report: ReportDefinition, reader: Reader, staff: Callable[..., User]
) -> None:
    registry.register(
        registry.DataSet(
            "secret",
            "Secret",
            (Column("n", "N", Kind.INTEGER),),
            rows=lambda window: iter([(1,)]),
            permission="runs.view_auditentry",
        )
    )
    try:
        ReportDefinition.objects.update(data_set="secret", owner=User.objects.create_superuser("boss"))
        ann, ben = reader("ann"), reader("ben")
        ben.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
        goes_to(report, ann, ben)
        report_run = house.send(ReportDefinition.objects.get(pk=report.pk))
    finally:
        registry._registry.pop("secret")
    assert states(report_run) == {"ann@example.org": LEFT_OUT, "ben@example.org": SENT}


def test_a_right_that_was_lost_since_it_was_planned_counts(
    house: House, report: ReportDefinition, reader: Reader, settings: Any
) -> None:
    ann, ben, cleo = reader("ann"), reader("ben"), reader("cleo")
    group = Group.objects.create(name="Board")
    cleo.groups.add(group)
    goes_to(report, ann, ben, group, "kim@partner.example", "lee@partner.example")
    house.make(report)
    ann.user_permissions.clear()
    cleo.groups.clear()
    ReportRecipient.objects.filter(user=ben).delete()
    ReportRecipient.objects.filter(address="lee@partner.example").update(unsubscribed_at=clock.now())
    settings.REPORT_DOMAINS = []
    house.work()
    assert set(states().values()) == {LEFT_OUT}
    assert {one.recipient for one in house.server.received} <= {"olga@example.org"}


def test_a_mail_server_that_is_down_fails_no_report_and_is_told_once(
    house: House, report: ReportDefinition, reader: Reader, owner: User, settings: Any
) -> None:
    goes_to(report, reader("ann"), "kim@partner.example")
    settings.EMAIL_PORT = 9  # nobody listens
    run = house.make(report)
    house.work()
    assert run.state == State.SUCCEEDED and ReportRun.objects.get().state == "succeeded"
    assert set(states().values()) == {TRIED_AGAIN}
    assert {one.attempts for one in ReportDelivery.objects.all()} == {1}
    assert all("cannot be reached" in one.why for one in ReportDelivery.objects.all())
    assert not ShareLink.objects.exists(), "a link that nobody has is no link"
    for minutes in (1.1, 5.1, 30.1):
        assert [one for one in house.later(minutes=minutes) if one.kind == mailing.KIND], "tried again"
    assert {one.attempts for one in ReportDelivery.objects.all()} == {4}
    house.later(minutes=30.1)
    assert set(states().values()) == {FAILED}
    assert all(one.why.endswith("Tried 5 times.") for one in ReportDelivery.objects.all())
    assert not [one for one in house.later(hours=5) if one.kind == mailing.KIND], "and then no more"
    assert len(told(owner)) == 1 and Run.objects.filter(kind="report_owner_mail").count() == 1
    assert ReportRun.objects.get().state == "succeeded"


def test_mails_arrive_when_the_mail_server_is_back(
    house: House, report: ReportDefinition, reader: Reader, settings: Any
) -> None:
    goes_to(report, reader("ann"), "kim@partner.example")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 9
    house.send(report)
    settings.EMAIL_PORT = port
    house.later(seconds=30)
    assert "ann@example.org" not in house.server.recipients, "not before its time"
    house.later(seconds=40)
    assert set(states().values()) == {SENT}
    assert ShareLink.objects.count() == 1
    assert len(house.to("ann@example.org")) == 1 and len(house.to("olga@example.org")) == 1


def test_one_bad_recipient_stops_no_other(house: House, report: ReportDefinition, reader: Reader, owner: User) -> None:
    goes_to(report, *(reader(name) for name in ("ann", "bad", "cleo", "dave")))
    refusals = {"bad@example.org": "550 5.1.1 No such user", "cleo@example.org": "451 4.7.1 Try later"}
    house.server.on_rcpt = lambda number, address: refusals.get(address)
    house.send(report)
    assert states() == {
        "ann@example.org": SENT, "bad@example.org": FAILED, "cleo@example.org": TRIED_AGAIN, "dave@example.org": SENT,
    }  # fmt: skip
    why = dict(ReportDelivery.objects.values_list("address", "why"))
    assert why["bad@example.org"] == "The mail server refused it: 550 5.1.1 No such user"
    assert "451 4.7.1" in why["cleo@example.org"]
    assert len(told(owner)) == 1
    refusals.clear()
    house.later(minutes=2)
    assert states()["cleo@example.org"] == SENT and states()["bad@example.org"] == FAILED
    assert [len(house.to(f"{name}@example.org")) for name in ("ann", "bad", "cleo", "dave")] == [1, 0, 1, 1]


def test_a_mail_too_large_for_the_server_ends_in_its_words(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    goes_to(report, reader("ann"))
    house.server.on_data = lambda number: "552 5.3.4 Message too big"
    house.send(report)
    assert ReportDelivery.objects.get().why == "The mail server refused it: 552 5.3.4 Message too big"
    assert states() == {"ann@example.org": FAILED}


def test_an_answer_that_never_came_is_tried_again_under_the_same_message_id(
    house: House, report: ReportDefinition
) -> None:
    goes_to(report, "kim@partner.example", "lee@partner.example")
    house.server.drop_instead_of_reply = lambda number: number == 1
    house.send(report)
    house.later(minutes=2)
    assert set(states().values()) == {SENT}
    first, second = house.to("kim@partner.example")
    assert first.mail["Message-ID"] == second.mail["Message-ID"]
    assert len(house.to("lee@partner.example")) == 1
    assert ShareLink.objects.filter(address="kim@partner.example").count() == 2, (
        "the link of a mail that may have arrived keeps working"
    )


def test_a_mail_that_cannot_be_written_stops_no_other(
    house: House, report: ReportDefinition, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports import report_mail

    goes_to(report, reader("ann"), reader("ben"))
    real = report_mail.compose

    def compose(delivery: ReportDelivery, *rest: Any) -> Any:
        if delivery.address.startswith("ann"):
            raise RuntimeError("a fault of ours")
        return real(delivery, *rest)

    monkeypatch.setattr(report_mail, "compose", compose)
    house.send(report)
    assert states() == {"ann@example.org": TRIED_AGAIN, "ben@example.org": SENT}


def test_the_same_message_twice_mails_once(house: House, report: ReportDefinition, reader: Reader) -> None:
    from schedules.tasks import run_job

    goes_to(report, reader("ann"))
    house.send(report)
    run = Run.objects.get(kind=mailing.KIND)
    run_job(run.pk)
    Run.objects.filter(pk=run.pk).update(state=State.PUBLISHED)  # after a visibility timeout it comes once more
    run_job(run.pk)
    assert len(house.to("ann@example.org")) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_mail_once(house: House, report: ReportDefinition, reader: Reader) -> None:
    goes_to(report, *(reader(f"reader{number}") for number in range(6)))
    house.make(report)
    report_run = ReportRun.objects.get()

    class Quiet:
        def progress(self, *_: object) -> None:
            pass

    def worker(_: int) -> None:
        try:
            mailing._Round(Quiet(), report_run).send()  # type: ignore[arg-type]
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(worker, range(3)))
    assert sorted(house.server.recipients) == [f"reader{number}@example.org" for number in range(6)]
    assert set(states().values()) == {SENT}


def test_what_a_killed_worker_held_is_mailed_after_a_while(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    goes_to(report, reader("ann"), reader("ben"))
    house.make(report)
    held = ReportDelivery.objects.get(address="ann@example.org")
    assert mailing._take(held)  # and then the worker dies
    house.work()
    assert states() == {"ann@example.org": TRIED_AGAIN, "ben@example.org": SENT}
    house.later(minutes=16)
    assert states() == {"ann@example.org": SENT, "ben@example.org": SENT}


def test_a_round_that_was_lost_for_good_is_followed_by_another(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    goes_to(report, reader("ann"))
    house.make(report)
    run = Run.objects.get(kind=mailing.KIND)
    claimed = ledger.claim(run.pk, "worker")
    assert claimed is not None
    ledger.fail(claimed, "The worker stopped in the middle 3 times.", may_retry=False)
    house.work()
    assert states() == {"ann@example.org": SENT}


def test_mails_that_every_round_forgot_are_swept_up_by_the_next(
    house: House, report: ReportDefinition, define: Define, reader: Reader
) -> None:
    other = define(name="Other")
    goes_to(report, reader("ann"))
    goes_to(other, reader("ben"))
    house.make(report)
    Run.objects.filter(kind=mailing.KIND).delete()
    house.later(hours=1)
    assert states() == {"ann@example.org": TRIED_AGAIN}
    house.send(other)
    assert states() == {"ann@example.org": SENT, "ben@example.org": SENT}


def test_staff_who_cancel_the_mailing_are_obeyed(house: House, report: ReportDefinition, reader: Reader) -> None:
    goes_to(report, reader("ann"))
    house.make(report)
    run = Run.objects.get(kind=mailing.KIND)
    ledger.request_cancel(run)
    house.later(hours=1)
    mailing.sweep()
    house.work()
    assert states() == {"ann@example.org": LEFT_OUT} and house.server.received == []


def test_files_that_are_gone_before_the_mail_goes_out_are_told_in_words(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    goes_to(report, reader("ann"))
    house.make(report)
    Artefact.objects.update(deleted_at=clock.now())
    house.work()
    assert ReportDelivery.objects.get().why == "The files are no longer kept."


def test_a_report_that_nobody_gets_plans_no_mail(house: House, report: ReportDefinition) -> None:
    house.send(report)
    assert not Run.objects.filter(kind=mailing.KIND).exists() and not ReportDelivery.objects.exists()


def test_planning_costs_the_same_for_many_as_for_few(
    house: House, report: ReportDefinition, reader: Reader, django_assert_max_num_queries: Any
) -> None:
    group = Group.objects.create(name="Board")
    goes_to(report, group)
    for number in range(40):
        reader(f"reader{number}").groups.add(group)
    made = ReportRun(definition=report, choices={"data_set": "deliveries_per_day"})
    with django_assert_max_num_queries(6):
        assert len(recipients.of(made)) == 40


def test_whoever_ran_it_by_hand_is_told_unless_they_unticked_it(
    house: House, report: ReportDefinition, reader: Reader
) -> None:
    ann, ben = reader("ann"), reader("ben")
    house.make(report, asked_by=ann, tell_me=True)
    house.make(report, asked_by=ben, tell_me=False)
    assert len(told(ann)) == 1 and told(ann)[0].startswith("“Numbers” is ready: 7 rows") and told(ben) == []


def test_mailing_again_reaches_only_those_whom_it_did_not_reach(
    house: House, report: ReportDefinition, reader: Reader, staff: Callable[..., User]
) -> None:
    goes_to(report, reader("ann"), reader("bad"))
    house.server.on_rcpt = lambda number, address: "550 no" if address.startswith("bad") else None
    report_run = house.send(report)
    house.server.on_rcpt = lambda number, address: None
    boss = staff("boss", "reports.run_report")
    assert mailing_again.mail_failed_again(boss, report_run.pk) == 1
    house.work()
    assert set(states().values()) == {SENT} and len(house.to("ann@example.org")) == 1
    assert AuditEntry.objects.filter(action="mailed the report again", actor_name="boss").exists()


def test_a_second_publishing_of_the_same_run_mails_nobody_twice(
    house: House, report: ReportDefinition, reader: Reader, claim: Callable[..., RunContext]
) -> None:
    ann = reader("ann")
    goes_to(report, ann)
    run = claim(report, requested_by=ann)
    running.perform(run)
    house.work()
    Artefact.objects.all().delete()  # the first worker died between the file and the record of it
    running.perform(claim(run=run))
    house.later(hours=2)
    assert len(house.to("ann@example.org")) == 1 and len(told(ann)) == 1


def test_waits_grow_and_end() -> None:
    assert [span / timedelta(minutes=1) for span in mailing.BACK_OFF] == [1, 5, 30, 30] and mailing.MOST_ATTEMPTS == 5


def test_what_was_not_worth_sending_is_not_sent_when_it_is_made_again(house: House, define: Define) -> None:
    definition = define(condition="no_rows")
    goes_to(definition, "anna@partner.example")
    skipped = house.send(definition)
    again = keeping.make_again(None, skipped.pk, key="a")
    run_job(again.run_id)
    house.work()
    again.refresh_from_db()
    assert (skipped.state, again.state) == ("skipped", "skipped") and not house.server.received


def test_what_everybody_was_sent_is_only_for_whoever_makes_it_again(
    house: House, define: Define, staff: Callable[..., User]
) -> None:
    definition = define()
    goes_to(definition, "anna@partner.example")
    original = house.send(definition)
    boss = staff("boss", "reports.run_report", "reports.view_artefact")
    again = keeping.make_again(boss, original.pk, key="a")
    run_job(again.run_id)
    house.work()
    again.refresh_from_db()
    assert again.artefacts.count() == 1 and again.summary["not_sent"] == "everybody was sent it when it was first made."
    assert len(house.to("anna@partner.example")) == 1 and Notice.objects.filter(user=boss).count() == 1
    ReportRun.objects.update(state="failed")
    run_job(keeping.make_again(boss, original.pk, key="b").run_id)
    house.work()
    assert len(house.to("anna@partner.example")) == 2


def test_rows_of_what_a_report_listed_before_go_to_no_address_outside(house: House, define: Define) -> None:
    definition = define()
    goes_to(definition, "anna@partner.example")
    original = house.send(definition)
    assert states(original) == {"anna@partner.example": SENT}
    ReportRun.objects.update(state="failed")  # what was sent is not sent again when it is made again
    ReportDefinition.objects.update(data_set="runs_by_schedule")
    goes_to(definition, "later@partner.example")
    again = keeping.make_again(None, original.pk, key="a")
    run_job(again.run_id)
    house.work()
    assert set(states(again).values()) == {LEFT_OUT} and not house.to("later@partner.example")
    assert ReportDelivery.objects.filter(report_run=again, why=recipients.OTHER_ROWS).count() == 2
    assert states(house.send(ReportDefinition.objects.get())) == {
        "anna@partner.example": SENT,
        "later@partner.example": SENT,
    }
