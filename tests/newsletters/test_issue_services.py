"""Pause, resume, cancel, try the failed again, decide the uncertain."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError

from newsletters import deliveries, journal, lanes, preparing, services
from newsletters.models import Delivery, Issue, Lane, List, Newsletter
from runs import clock, ledger
from runs.models import AuditEntry, Run
from runs.states import State, Trigger
from tests.newsletters.conftest import DUE, add_readers, between_mails
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db


@pytest.fixture
def sender() -> User:
    user = User.objects.create_user("ines", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="send_newsletter"))
    return user


def during(monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], object]) -> None:
    """Calls ``act`` once so many mails were handed over, as if staff had just clicked."""
    between_mails(monkeypatch, lambda number: act() if number == at else None)


def test_pause_stops_and_resume_sends_exactly_the_rest(
    letter: Newsletter,
    city_news: List,
    smtp_server: SmtpServer,
    perform: Perform,
    sender: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = add_readers(city_news, 60)
    smtp_server.seconds_per_mail = 0.005
    during(monkeypatch, 20, lambda: services.pause_issue(sender, Issue.objects.get().pk, "a typo"))
    run = perform(letter)
    issue = Issue.objects.get()
    assert run.state == State.SUCCEEDED
    assert run.result.startswith("Paused by ines after ")
    assert issue.state == Issue.State.PAUSED
    sent = len(smtp_server.received)
    assert 20 <= sent < 60
    assert issue.sent == sent
    assert issue.uncertain == 0
    assert not issue.deliveries.filter(state=Delivery.State.CLAIMED).exists()
    # The schedule's own retry does not go over the heads of staff.
    assert perform(letter).result.startswith("Paused by ines")
    assert len(smtp_server.received) == sent
    services.resume_issue(sender, issue.pk)
    assert perform(issue).result == "60 sent."
    assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)


def test_cancel_leaves_the_rest_out(
    letter: Newsletter,
    city_news: List,
    smtp_server: SmtpServer,
    perform: Perform,
    sender: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_readers(city_news, 60)
    smtp_server.seconds_per_mail = 0.005
    during(monkeypatch, 20, lambda: services.cancel_issue(sender, Issue.objects.get().pk))
    run = perform(letter)
    issue = Issue.objects.get()
    assert run.result == f"Cancelled after {issue.sent} of 60."
    assert issue.state == Issue.State.CANCELLED
    assert issue.sent == len(smtp_server.received) < 60
    assert issue.sent + issue.skipped == 60
    assert perform(letter).result.startswith("Nothing to do, this issue has ended")


def test_a_cancelled_run_pauses_the_issue(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_readers(city_news, 60)
    smtp_server.seconds_per_mail = 0.05
    during(monkeypatch, 3, lambda: Run.objects.update(cancel_requested_at=DUE))
    # Progress asks the ledger at most once a second, and a cancelled run stops there.
    run = perform(letter)
    issue = Issue.objects.get()
    assert run.state == State.CANCELLED
    assert issue.state == Issue.State.PAUSED
    assert issue.sent == len(smtp_server.received) < 60
    assert issue.uncertain == 0


def test_cancel_of_a_paused_issue_tidies_up_at_once(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 4)
    issue = preparing.issue_for(letter, DUE)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.PAUSED)
    services.cancel_issue(None, issue.pk)
    issue.refresh_from_db()
    assert (issue.state, issue.skipped, issue.waiting) == (Issue.State.CANCELLED, 4, 0)
    with pytest.raises(ValidationError, match="already ended"):
        services.cancel_issue(None, issue.pk)


def test_an_issue_whose_worker_died_can_be_resumed(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 4)
    issue = preparing.issue_for(letter, DUE)
    run = ledger.plan(
        ledger.NewRun(kind="newsletter", target_id=letter.pk, target_label="", trigger=Trigger.MANUAL, due_at=DUE)
    )
    hold = lanes.take(issue, run.pk)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.RUNNING, run_id=run.pk)
    rows = deliveries.claim(hold, 3).rows
    book = journal.Journal(journal.path(issue.pk, hold.fence))
    book.begin(rows[0].id)
    book.settle(rows[0].id, is_taken=True)
    book.begin(rows[1].id)
    issue.refresh_from_db()
    assert not services.can_resume(issue)  # its run is still open
    Run.objects.filter(pk=run.pk).update(state=State.FAILED)
    silence_holder()
    assert services.can_resume(issue)
    services.resume_issue(None, issue.pk)
    assert perform(issue).result == "3 sent, 1 uncertain."
    assert smtp_server.recipients == ["reader2@example.org", "reader3@example.org"]


def silence_holder() -> None:
    """As if the process that holds the lanes had been asleep for longer than it is believed."""
    Lane.objects.update(lease_until=clock.now() - timedelta(seconds=1))


def test_a_zombie_can_neither_send_nor_write(
    letter: Newsletter, city_news: List, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_readers(city_news, 3)
    issue = preparing.issue_for(letter, DUE)
    zombie = lanes.take(issue, 1)
    rows = deliveries.claim(zombie, 3).rows
    journal.Journal(journal.path(issue.pk, zombie.fence)).begin(rows[0].id)
    with pytest.raises(lanes.LaneBusy):
        lanes.take(issue, 2)
    silence_holder()
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) + lanes.HOLD_SECONDS
    monkeypatch.setattr(lanes, "_now", lambda: asleep)
    assert not zombie.is_valid, "it asks before each final dot"
    owner = lanes.take(issue, 2)
    assert owner.is_valid
    for write in (
        lambda: deliveries.flush(zombie, deliveries.Settled(sent=[rows[1].id])),
        lambda: deliveries.flush(zombie, deliveries.Settled()),
        lambda: deliveries.claim(zombie, 1),
    ):
        with pytest.raises(ledger.LeaseLost):
            write()
    lanes.release(zombie)
    assert Lane.objects.get().fence == owner.fence
    assert Counter(issue.deliveries.values_list("state", flat=True)) == {
        Delivery.State.UNCERTAIN: 1,
        Delivery.State.PENDING: 2,
    }
    assert [row.id for row in deliveries.claim(owner, 5).rows] == [row.id for row in rows[1:]]


def test_try_again_reaches_the_failed_and_nobody_else(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, sender: User
) -> None:
    readers = add_readers(city_news, 30)
    smtp_server.on_rcpt = lambda number, address: (
        "550 5.1.1 no" if address in (readers[1].email, readers[2].email) else None
    )
    perform(letter)
    issue = Issue.objects.get()
    smtp_server.on_rcpt = lambda number, address: None
    smtp_server.received.clear()
    run = services.retry_failed(sender, issue.pk)
    assert run.requested_by == sender
    assert perform(issue).result == "30 sent."
    assert sorted(smtp_server.recipients) == [readers[1].email, readers[2].email]
    issue.refresh_from_db()
    assert issue.state == Issue.State.SENT
    with pytest.raises(ValidationError, match="Nothing failed"):
        services.retry_failed(sender, issue.pk)


@pytest.mark.parametrize("send_again", [False, True])
def test_the_uncertain_are_decided_by_staff(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, sender: User, send_again: bool
) -> None:
    add_readers(city_news, 5)
    smtp_server.drop_instead_of_reply = lambda number: number == 2
    perform(letter)
    issue = Issue.objects.get()
    services.decide_uncertain(sender, issue.pk, send_again=send_again)
    if send_again:
        assert perform(issue).result == "5 sent."
    issue.refresh_from_db()
    assert (issue.state, issue.sent, issue.uncertain) == (Issue.State.SENT, 5, 0)
    assert len(smtp_server.received) == (6 if send_again else 5)


@pytest.mark.parametrize(
    "act", [services.pause_issue, services.resume_issue, services.cancel_issue, services.retry_failed]
)
def test_without_the_permission_nothing_happens_and_it_is_noted(
    letter: Newsletter, city_news: List, act: Callable[..., object]
) -> None:
    add_readers(city_news, 1)
    issue = preparing.issue_for(letter, DUE)
    with pytest.raises(PermissionDenied):
        act(User.objects.create_user("ada", is_staff=True), issue.pk)
    assert AuditEntry.objects.get().was_refused
    assert Issue.objects.get().state == Issue.State.PREPARING


def test_a_change_is_on_record_with_before_and_after(letter: Newsletter, city_news: List) -> None:
    letter.subject = "Changed"
    services.save_newsletter(None, letter, [city_news])
    entry = AuditEntry.objects.get()
    assert (entry.before, entry.after) == ({"subject": "News for {{ name|you }}"}, {"subject": "Changed"})
