"""An issue before it is sent: begun for a due time, written, moved, deleted, copied; and what its time finds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from newsletters import approval, due_times, issues, releasing
from newsletters.issues import Text, When
from newsletters.models import Issue, List, Newsletter
from runs import clock
from runs.models import Alert, AuditEntry, Run
from runs.states import State
from schedules import services as schedules
from schedules.models import Schedule
from tests.newsletters.conftest import add_readers
from tests.newsletters.people import SENDS, WRITES, next_due, staff, weekly
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
OWN = Text("Only this time", "Dear {{ name|reader }}, this once.")


def soon(days: int = 3) -> datetime:
    return (clock.now() + timedelta(days=days)).replace(second=0, microsecond=0)


def test_a_draft_for_a_due_time_goes_out_in_place_of_the_usual_text(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    weekly(letter)
    add_readers(city_news, 3)
    ines = staff("ines", *SENDS)
    due = next_due(letter)
    issue = issues.create_issue(ines, letter, When(due))
    assert (issue.subject, issue.body, issue.state) == (letter.subject, letter.body, Issue.State.DRAFT)
    issues.edit_issue(ines, issue.pk, OWN)
    releasing.submit_issue(ines, issue.pk)
    run = perform(letter, due_at=due)
    assert (run.state, run.result) == (State.SUCCEEDED, "3 sent.")
    assert {mail.mail["Subject"] for mail in smtp_server.received} == {"Only this time"}
    issue.refresh_from_db()
    assert (issue.state, issue.sent, issue.audience) == (Issue.State.SENT, 3, "City news")
    assert Issue.objects.count() == 1
    perform(letter, due_at=due + timedelta(days=7))
    assert smtp_server.received[-1].mail["Subject"] != "Only this time"


def test_a_forgotten_draft_is_held_and_people_are_told(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    weekly(letter)
    add_readers(city_news, 3)
    ada = staff("ada", *WRITES)
    due = next_due(letter)
    issue = issues.create_issue(ada, letter, When(due))
    run = perform(letter, due_at=due)
    assert run.state == State.SUCCEEDED
    assert run.result.startswith("Nothing was sent: somebody began to write this issue and has not released it.")
    assert smtp_server.received == []
    alert = Alert.objects.get()
    assert (alert.owner, alert.is_open) == (ada, True)
    assert alert.url == approval.page_of(issue)
    issues.delete_issue(ada, issue.pk)
    alert.refresh_from_db()
    assert not alert.is_open


def test_an_issue_for_a_time_of_its_own_has_a_schedule_that_follows_it(letter: Newsletter) -> None:
    ines = staff("ines", *SENDS)
    at = soon()
    issue = issues.create_issue(ines, letter, When(at, is_own=True, time_zone="Europe/Berlin"))
    schedule = Schedule.objects.get()
    assert (schedule.mode, schedule.once_at, schedule.target_id) == ("once", at, letter.pk)
    later = soon(4)
    issues.move_issue(ines, issue.pk, When(later, is_own=True, time_zone="Europe/Berlin"))
    schedule.refresh_from_db()
    assert schedule.once_at == later
    assert due_times.find(letter.pk, later) is not None
    issues.move_issue(ines, issue.pk, When())
    assert not Schedule.objects.exists()
    issue.refresh_from_db()
    assert (issue.scheduled_for, issue.state) == (None, Issue.State.DRAFT)


def test_deleting_a_draft_takes_its_own_time_with_it_but_no_other_schedule(letter: Newsletter) -> None:
    ines = staff("ines", *SENDS)
    regular = weekly(letter)
    issue = issues.create_issue(ines, letter, When(soon(), is_own=True))
    assert Schedule.objects.count() == 2
    issues.delete_issue(ines, issue.pk)
    assert list(Schedule.objects.all()) == [regular]
    at_nine = issues.create_issue(ines, letter, When(next_due(letter)))
    issues.delete_issue(ines, at_nine.pk)
    assert list(Schedule.objects.all()) == [regular]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (lambda: When(clock.now() - timedelta(minutes=1)), "That time has passed."),
        (lambda: When(soon()), "does not go out at that time"),
    ],
)
def test_a_time_at_which_nothing_would_happen_is_refused(
    letter: Newsletter, when: Callable[[], When], words: str
) -> None:
    weekly(letter)
    with pytest.raises(ValidationError, match=words):
        issues.create_issue(staff("ines", *SENDS), letter, when())
    assert not Issue.objects.exists()


def test_there_is_one_issue_for_each_time(letter: Newsletter) -> None:
    weekly(letter)
    ines = staff("ines", *SENDS)
    issues.create_issue(ines, letter, When(next_due(letter)))
    with pytest.raises(ValidationError, match="There is an issue for"):
        issues.create_issue(ines, letter, When(next_due(letter)))
    assert Issue.objects.count() == 1


def test_who_may_not_send_cannot_give_an_issue_a_time_of_its_own(letter: Newsletter) -> None:
    with pytest.raises(PermissionDenied):
        issues.create_issue(staff("ada", *WRITES), letter, When(soon(), is_own=True))
    assert not Issue.objects.exists()
    assert not Schedule.objects.exists()


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(letter: Newsletter) -> None:
    ada, ines = staff("ada", *WRITES), staff("ines", *SENDS)
    issue = issues.create_issue(ada, letter)
    seen = approval.fingerprint(issue)
    issues.edit_issue(ines, issue.pk, OWN, seen=seen)
    with pytest.raises(ValidationError, match="Somebody else changed this issue"):
        issues.edit_issue(ada, issue.pk, Text("Mine", "Mine"), seen=seen)
    issue.refresh_from_db()
    assert (issue.subject, issue.author) == (OWN.subject, ines)
    assert AuditEntry.objects.filter(action="changed the issue").get().before["subject"] == letter.subject


def test_once_the_sending_began_neither_text_nor_time_change(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    ines = staff("ines", *SENDS)
    issue = issues.create_issue(ines, letter)
    run = releasing.send_now(ines, issue.pk, key="a" * 32)
    assert perform(issue, run=run).result == "2 sent."
    for act in (
        lambda: issues.edit_issue(ines, issue.pk, OWN),
        lambda: issues.move_issue(ines, issue.pk, When()),
        lambda: issues.delete_issue(ines, issue.pk),
        lambda: releasing.withdraw_issue(ines, issue.pk),
        lambda: releasing.send_now(ines, issue.pk, key="b" * 32),
    ):
        with pytest.raises(ValidationError, match="Its sending has begun"):
            act()
    copy = issues.duplicate_issue(ines, issue.pk)
    assert (copy.state, copy.scheduled_for, copy.subject) == (Issue.State.DRAFT, None, letter.subject)


def test_a_paused_schedule_is_said_to_leave_the_time_out(letter: Newsletter) -> None:
    schedule = weekly(letter)
    schedules.pause_schedule(None, schedule.pk, reason="a strike")
    assert due_times.ahead(letter.pk)[0].why_not == "paused: a strike"
    schedules.resume_schedule(None, schedule.pk)
    skipped = schedules.skip_next(None, schedule.pk)
    found = due_times.find(letter.pk, skipped)
    assert found is not None and found.why_not == "skipped: somebody chose to skip it"
