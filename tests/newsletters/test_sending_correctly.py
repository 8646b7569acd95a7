"""What a sending promises, whatever happens around it: each reader once, every recipient accounted for."""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from newsletters import deliveries, preparing, services, standstill
from newsletters.models import Delivery, Issue, LetterTemplate, List, Newsletter, Subscriber
from runs import clock, ledger
from runs.models import Run
from runs.states import Reason, State, Trigger
from runs.tasks import RunContext
from schedules import planner
from schedules.models import Schedule
from schedules.tasks import run_job
from tests.integration import mail_sink
from tests.newsletters.conftest import DUE, add_readers, between_mails
from tests.newsletters.people import weekly
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
RECIPIENTS = int(os.environ.get("SENDING_RECIPIENTS", "20000"))
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
"""Nine in Berlin."""


def assert_accounted_for(issue: Issue) -> None:
    """The identity: planned is sent + failed + left out + uncertain, by the counters and by the rows."""
    issue.refresh_from_db()
    counted = deliveries.count_states(issue.pk)
    ends = (Delivery.State.SENT, Delivery.State.FAILED, Delivery.State.SKIPPED, Delivery.State.UNCERTAIN)
    by_rows = [counted.get(state, 0) for state in ends]
    assert [issue.sent, issue.failed, issue.skipped, issue.uncertain] == by_rows
    assert sum(by_rows) == issue.planned == sum(counted.values())


def set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


def test_everybody_gets_it_once_and_every_recipient_is_accounted_for(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings, tmp_path: Path
) -> None:
    """Over eight connections, as it is set by default; one in a hundred addresses is refused."""
    readers = add_readers(city_news, RECIPIENTS)
    refused = readers[::100]
    for reader in refused:
        reader.email = reader.email_norm = f"nobody{reader.pk}@example.org"
    Subscriber.objects.bulk_update(refused, ["email", "email_norm"])
    add_readers(city_news, 3, prefix="pending", state="pending")
    with mail_sink.Running(tmp_path / "arrived") as server:
        settings.EMAIL_PORT, settings.SENDING_CONNECTIONS = server.port, 8
        run = perform(letter)
        arrived = server.arrived()
    assert set(arrived.values()) == {1}
    assert set(arrived) == {reader.email for reader in readers} - {reader.email for reader in refused}
    assert run.result == f"{RECIPIENTS - len(refused)} sent, {len(refused)} failed."
    assert_accounted_for(Issue.objects.get())


def test_pauses_at_random_stop_after_the_mail_in_hand_and_resume_exactly_the_rest(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {reader.email for reader in add_readers(city_news, 150)}
    pauses = sorted(random.Random(6).sample(range(1, 150), 25))
    paused_at: list[int] = []

    def maybe_pause(number: int) -> None:
        if pauses and number >= pauses[0]:
            pauses.pop(0)
            paused_at.append(len(smtp_server.received))
            services.pause_issue(None, Issue.objects.get().pk, "again")

    between_mails(monkeypatch, maybe_pause)
    perform(letter)
    issue = Issue.objects.get()
    while issue.state == Issue.State.PAUSED:
        assert len(smtp_server.received) - paused_at[-1] in (0, 1)  # none after the one whose final dot was out
        assert issue.sent == len(smtp_server.received)
        assert not issue.deliveries.filter(state=Delivery.State.CLAIMED).exists()
        perform(issue, run=services.resume_issue(None, issue.pk))
        issue.refresh_from_db()
    assert len(paused_at) == 25
    assert Counter(smtp_server.recipients) == Counter(expected)
    assert_accounted_for(issue)


def test_the_same_message_ten_times_and_two_beats_send_once(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, MONDAY - timedelta(hours=1))
    schedule = weekly(letter)
    before = (schedule.cursor_at, schedule.next_due_at)
    add_readers(city_news, 20)
    set_clock(monkeypatch, MONDAY + timedelta(seconds=1))
    planner.plan_due()
    Schedule.objects.update(cursor_at=before[0], next_due_at=before[1])  # a second beat that saw the same
    planner.plan_due()
    run = Run.objects.get()
    for _ in range(10):
        run_job(run.pk)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.duplicates_dropped) == (State.SUCCEEDED, 1, 9)
    assert len(smtp_server.received) == len(set(smtp_server.recipients)) == 20
    assert Issue.objects.count() == 1


def test_what_staff_change_while_it_is_sent_changes_no_mail_of_it(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = LetterTemplate.objects.create(name="Plain", source="<p>{{ content }}</p>")
    Newsletter.objects.update(template=layout, subject="News", body="The same for all.")
    add_readers(city_news, 12, name="")

    def change(number: int) -> None:
        Newsletter.objects.update(subject=f"Changed {number}", body="Changed", from_email="x@example.org", name="Other")
        LetterTemplate.objects.update(source=f"<h1>{number}</h1>{{{{ content }}}}")

    between_mails(monkeypatch, change)
    perform(Newsletter.objects.get())
    issue = Issue.objects.get()
    said = {
        hashlib.sha256((mail.body("plain").partition("-- ")[0]).encode()).hexdigest() for mail in smtp_server.received
    }
    assert len(said) == 1
    assert {(mail.mail["Subject"], mail.sender) for mail in smtp_server.received} == {("News", "desk@example.org")}
    frozen = hashlib.sha256("\0".join((issue.subject, issue.html, issue.text)).encode()).hexdigest()
    assert issue.sha256 == frozen


def test_a_faster_rate_is_not_waited_out(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    Newsletter.objects.update(rate=1, rate_per="hour")
    add_readers(city_news, 10)
    started = time.monotonic()

    def speed_up(number: int) -> None:
        if number == 1:
            services.change_rate(None, Issue.objects.get().pk, None, "minute")

    between_mails(monkeypatch, speed_up)
    assert perform(letter).result == "10 sent."
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("late", "state"), [(timedelta(hours=3), State.MISSED), (timedelta(minutes=20), State.PLANNED)]
)
def test_after_an_outage_an_issue_goes_out_only_within_its_grace(
    letter: Newsletter,
    city_news: List,
    smtp_server: SmtpServer,
    monkeypatch: pytest.MonkeyPatch,
    late: timedelta,
    state: State,
) -> None:
    set_clock(monkeypatch, MONDAY - timedelta(hours=1))
    weekly(letter, start_deadline_seconds=3600)
    add_readers(city_news, 3)
    set_clock(monkeypatch, MONDAY + late)
    planner.plan_due()
    planner.plan_due()
    run = Run.objects.get()
    assert run.state == state
    run_job(run.pk)
    assert len(smtp_server.received) == (3 if state == State.PLANNED else 0)
    if state == State.MISSED:
        assert run.reason == Reason.DEADLINE


def sending_by_hand(letter: Newsletter, run_state: State = State.RUNNING) -> Issue:
    """An issue that a worker is sending because staff resumed it."""
    issue = preparing.issue_for(letter, DUE)
    rest = ledger.plan(
        ledger.NewRun(kind="newsletter_rest", target_id=issue.pk, target_label="", trigger=Trigger.EVENT)
    )
    Run.objects.filter(pk=rest.pk).update(state=run_state)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.RUNNING, run_id=rest.pk)
    return issue


def of_schedule(letter: Newsletter, overlap: str) -> Run:
    schedule = weekly(letter, overlap=overlap)
    new = {**schedule.run_values(), "target_label": "", "trigger": Trigger.SCHEDULE, "due_at": clock.now()}
    return ledger.plan(ledger.NewRun(**new))


@pytest.mark.parametrize(("overlap", "sent"), [("skip", 0), ("allow", 3)])
def test_while_an_earlier_issue_is_being_sent_the_schedules_rule_holds(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, overlap: str, sent: int
) -> None:
    add_readers(city_news, 3)
    sending_by_hand(letter)
    run = perform(letter, run=of_schedule(letter, overlap))
    assert len(smtp_server.received) == sent
    if overlap == "skip":
        assert run.result == "Left out, because “Weekly letter of 2 March 2026, 09:00” was still being sent."
        assert Issue.objects.count() == 1


def test_a_queued_issue_begins_when_the_earlier_one_has_ended(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_readers(city_news, 3)
    earlier = sending_by_hand(letter)
    looks: list[int] = []
    original = standstill.is_to_wait

    def is_to_wait(run: object) -> bool:
        looks.append(1)
        if len(looks) == 3:
            Issue.objects.filter(pk=earlier.pk).update(state=Issue.State.SENT)
        return original(run)  # type: ignore[arg-type]

    monkeypatch.setattr(standstill, "is_to_wait", is_to_wait)
    assert perform(letter, run=of_schedule(letter, "queue")).result == "3 sent."
    assert len(looks) == 3


@pytest.mark.parametrize("state", [State.FAILED, State.PLANNED])
def test_an_issue_that_nobody_is_sending_is_in_nobodys_way(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, state: State
) -> None:
    add_readers(city_news, 3)
    sending_by_hand(letter, state)
    assert perform(letter, run=of_schedule(letter, "skip")).result == "3 sent."


def test_an_issue_that_was_under_way_in_a_restored_copy_comes_up_paused(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    """The copy is from the middle of the sending; its readers have had their mails long since."""
    add_readers(city_news, 6)
    issue = sending_by_hand(letter)
    long_ago = clock.now() - timedelta(hours=5)
    Issue.objects.filter(pk=issue.pk).update(started_at=long_ago)
    first = issue.deliveries.order_by("pk")[0]
    Delivery.objects.filter(pk=first.pk).update(state=Delivery.State.SENT, sent_at=long_ago)
    Run.objects.update(due_at=long_ago, state=State.PLANNED, attempt=1)  # the lease ran out; it is handed out again
    run = perform(issue, run=Run.objects.get())
    issue.refresh_from_db()
    assert smtp_server.received == []
    assert (run.state, issue.state) == (State.FAILED, Issue.State.PAUSED)
    assert issue.pause_reason.startswith("It stood still since ")
    assert "look into a mailbox before you resume it" in issue.pause_reason
    # Somebody looked, and goes on.
    perform(issue, run=services.resume_issue(None, issue.pk))
    assert len(smtp_server.received) == 5


def test_a_slow_rate_is_no_standstill(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 2)
    Newsletter.objects.update(rate=8, rate_per="day")
    issue = sending_by_hand(letter)
    some_hours_ago = clock.now() - timedelta(hours=5)
    Issue.objects.filter(pk=issue.pk).update(started_at=some_hours_ago)
    Run.objects.update(due_at=some_hours_ago, state=State.PLANNED)
    claimed = ledger.claim(Run.objects.get().pk, "a worker")
    assert claimed is not None
    assert standstill.why_not_go_on(Issue.objects.get(), RunContext(claimed)) == ""
