"""Who lets an issue out: handing in, approval by a second person, sending now, and coming too late."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError

from newsletters import issue_page, issues, releasing, services
from newsletters.issues import Text, When
from newsletters.models import Issue, LetterTemplate, List, Newsletter, Segment
from runs import clock
from runs.models import Alert, AuditEntry, Notice, Run
from runs.states import State
from schedules.models import Schedule
from tests.newsletters.conftest import add_readers
from tests.newsletters.people import SENDS, WRITES, next_due, staff, weekly
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db
KEY = "a" * 32


@pytest.fixture
def ada(db: None) -> User:
    return staff("ada", *WRITES)


@pytest.fixture
def ines(db: None) -> User:
    return staff("ines", *SENDS)


@pytest.fixture
def omar(db: None) -> User:
    return staff("omar", *SENDS)


@pytest.fixture
def large(letter: Newsletter, city_news: List) -> Newsletter:
    """A newsletter of which an issue to its 5 readers needs a second person."""
    letter.approve_above = 4
    letter.save()
    weekly(letter)
    add_readers(city_news, 5)
    return letter


def test_who_may_send_releases_a_small_issue_alone(letter: Newsletter, city_news: List, ines: User) -> None:
    weekly(letter)
    add_readers(city_news, 2)
    issue = issues.create_issue(ines, letter, When(next_due(letter)))
    assert releasing.submit_issue(ines, issue.pk).state == Issue.State.SCHEDULED
    with pytest.raises(ValidationError, match="handed in already"):
        releasing.submit_issue(ines, issue.pk)


def test_an_issue_without_a_time_cannot_be_released(letter: Newsletter, ines: User) -> None:
    issue = issues.create_issue(ines, letter)
    with pytest.raises(ValidationError, match="Choose when it goes out first"):
        releasing.submit_issue(ines, issue.pk)


@pytest.mark.parametrize("text", [Text("", "x"), Text("x", " "), Text("Hello {{ nmae }}", "x"), Text("x", "{{ oops")])
def test_a_text_that_cannot_be_mailed_is_not_handed_in(letter: Newsletter, ines: User, text: Text) -> None:
    weekly(letter)
    issue = issues.create_issue(ines, letter, When(next_due(letter)), text)
    with pytest.raises(ValidationError):
        releasing.submit_issue(ines, issue.pk)
    assert Issue.objects.get().state == Issue.State.DRAFT


def test_an_editors_issue_waits_for_somebody_who_may_approve(
    letter: Newsletter, city_news: List, ada: User, ines: User
) -> None:
    weekly(letter)
    add_readers(city_news, 2)
    issue = issues.create_issue(ada, letter, When(next_due(letter)))
    assert releasing.submit_issue(ada, issue.pk).state == Issue.State.APPROVAL
    assert list(Notice.objects.values_list("user__username", flat=True)) == ["ines"]
    releasing.refuse_issue(ines, issue.pk, "The date is wrong.")
    issue.refresh_from_db()
    assert issue.state == Issue.State.DRAFT
    assert "The date is wrong." in Notice.objects.get(user=ada).text
    releasing.submit_issue(ada, issue.pk)
    assert releasing.approve_issue(ines, issue.pk).state == Issue.State.SCHEDULED


def test_nobody_approves_what_they_wrote(large: Newsletter, ines: User, omar: User) -> None:
    issue = issues.create_issue(ines, large, When(next_due(large)))
    assert releasing.submit_issue(ines, issue.pk).state == Issue.State.APPROVAL
    with pytest.raises(ValidationError, match="somebody else must approve it"):
        releasing.approve_issue(ines, issue.pk)
    approved = releasing.approve_issue(omar, issue.pk)
    assert (approved.state, approved.approved_by) == (Issue.State.SCHEDULED, omar)


@pytest.mark.parametrize("change", ["text", "layout"])
def test_approved_text_that_changes_needs_approval_again(
    large: Newsletter, ines: User, omar: User, smtp_server: SmtpServer, perform: Perform, change: str
) -> None:
    layout = LetterTemplate.objects.create(name="Plain", source="<p>{{ content }}</p>")
    due = next_due(large)
    issue = issues.create_issue(ines, large, When(due), Text("S", "B", template=layout))
    releasing.submit_issue(ines, issue.pk)
    releasing.approve_issue(omar, issue.pk)
    if change == "text":
        changed = issues.edit_issue(ines, issue.pk, Text("S", "Another", template=layout))
        assert (changed.state, changed.approved_by) == (Issue.State.APPROVAL, None)
    else:
        LetterTemplate.objects.update(source="<h1>Buy!</h1>{{ content }}")
    assert perform(large, due_at=due).result == "Waits for approval: 5 recipients."
    assert smtp_server.received == []
    assert Issue.objects.get().state == Issue.State.APPROVAL


@pytest.mark.parametrize("change", ["lists", "segment", "rule", "attachment", "sender"])
def test_approved_readers_sender_or_attachment_that_change_need_approval_again(
    large: Newsletter, ines: User, omar: User, smtp_server: SmtpServer, perform: Perform, change: str
) -> None:
    rule = {"all": [{"about": "domain", "op": "is", "value": "example.org"}]}
    everybody = Segment.objects.create(name="Everybody", rule=rule)
    if change == "rule":
        Newsletter.objects.update(segment=everybody)
    due = next_due(large)
    issue = issues.create_issue(ines, large, When(due), Text("S", "B"))
    Issue.objects.update(state=Issue.State.APPROVAL)
    releasing.approve_issue(omar, issue.pk)
    if change == "lists":
        staff_list = List.objects.create(name="Staff", slug="staff")
        add_readers(staff_list, 30, prefix="staff")
        large.lists.add(staff_list)
    elif change == "rule":
        Segment.objects.update(rule={"any": rule["all"]})
    else:
        more: dict[str, dict[str, Any]] = {
            "segment": {"segment": everybody},
            "attachment": {"attachment": "report:1"},
            "sender": {"from_name": "The mayor"},
        }
        Newsletter.objects.update(**more[change])
    shown = issue_page.outlook(Issue.objects.get())
    assert shown is not None and "Since it was approved" in shown.sentence
    assert str(perform(large, due_at=due).result).startswith("Waits for approval")
    assert smtp_server.received == []


def test_nobody_approves_the_usual_text_that_they_wrote(
    large: Newsletter, city_news: List, ines: User, omar: User, perform: Perform
) -> None:
    large.body = "Buy!"
    services.save_newsletter(ines, large, [city_news])
    services.save_newsletter(omar, large, [city_news])  # changed nothing
    large.rate = 5
    services.save_newsletter(omar, large, [city_news])  # nothing of the text
    due = next_due(large)
    assert perform(large, due_at=due).result == "Waits for approval: 5 recipients."
    issue = Issue.objects.get()
    assert list(Notice.objects.values_list("user__username", flat=True)) == ["omar"]
    with pytest.raises(ValidationError, match="somebody else must approve it"):
        releasing.approve_issue(ines, issue.pk)
    assert releasing.approve_issue(omar, issue.pk).approved_by == omar


def test_who_may_not_send_cannot_change_what_was_released(
    letter: Newsletter, city_news: List, ada: User, ines: User
) -> None:
    weekly(letter)
    add_readers(city_news, 2)
    issue = issues.create_issue(ines, letter, When(next_due(letter)))
    releasing.submit_issue(ines, issue.pk)
    assert issues.edit_issue(ines, issue.pk, Text("A typo mended", "B")).state == Issue.State.SCHEDULED
    assert issues.edit_issue(ada, issue.pk, Text("Something else", "B")).state == Issue.State.APPROVAL


def test_the_usual_text_waits_for_approval_too_and_goes_out_once_it_is_there(
    large: Newsletter, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    now = clock.now()
    run = perform(large, due_at=now)
    assert (run.state, run.result) == (State.SUCCEEDED, "Waits for approval: 5 recipients.")
    issue = Issue.objects.get()
    assert (issue.state, issue.author, issue.body) == (Issue.State.APPROVAL, None, large.body)
    assert run.links.get().url.endswith(f"/issue/{issue.pk}/change/")
    assert Alert.objects.get().is_open
    assert Notice.objects.filter(user=ines).count() == 1
    assert perform(large, due_at=now).result == "Waits for approval: 5 recipients."  # a second run of the same time
    releasing.approve_issue(ines, issue.pk)
    assert not Alert.objects.get().is_open
    rest = Run.objects.get(kind="newsletter_rest")
    assert perform(issue, run=rest).result == "5 sent."
    assert len(smtp_server.received) == 5
    assert perform(large, due_at=now).result.startswith("Nothing to do")


def test_approved_too_late_it_waits_for_somebody_who_sends_it_all_the_same(
    large: Newsletter, ines: User, omar: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    perform(large, due_at=clock.now() - timedelta(hours=2))
    issue = Issue.objects.get()
    assert releasing.approve_issue(ines, issue.pk).state == Issue.State.SCHEDULED
    assert not Run.objects.filter(kind="newsletter_rest").exists()
    run = releasing.send_now(omar, issue.pk, key=KEY)
    assert perform(issue, run=run).result == "5 sent."


def test_a_held_draft_that_is_released_in_time_goes_out_at_once(
    letter: Newsletter, city_news: List, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    weekly(letter)
    issue = issues.create_issue(ines, letter, When(next_due(letter)))
    now = clock.now()
    Issue.objects.update(scheduled_for=now)
    perform(letter, due_at=now)
    releasing.submit_issue(ines, issue.pk)
    assert perform(issue, run=Run.objects.get(kind="newsletter_rest")).result == "2 sent."


def test_taken_back_before_its_time_nothing_goes_out(
    letter: Newsletter, city_news: List, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    weekly(letter)
    due = next_due(letter)
    issue = issues.create_issue(ines, letter, When(due))
    releasing.submit_issue(ines, issue.pk)
    assert releasing.withdraw_issue(ines, issue.pk).state == Issue.State.DRAFT
    perform(letter, due_at=due)
    assert smtp_server.received == []


def test_sent_now_once_per_form_and_not_again_at_its_time(
    letter: Newsletter, city_news: List, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    weekly(letter)
    due = next_due(letter)
    issue = issues.create_issue(ines, letter, When(due))
    run = releasing.send_now(ines, issue.pk, key=KEY)
    assert releasing.send_now(ines, issue.pk, key=KEY) == run
    assert perform(issue, run=run).result == "2 sent."
    assert perform(letter, due_at=due).result == "Nothing to do, this issue has ended: 2 sent."
    assert len(smtp_server.received) == 2


def test_sent_now_by_mistake_it_can_be_taken_back_until_a_worker_comes(
    letter: Newsletter, city_news: List, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    issue = issues.create_issue(ines, letter)
    run = releasing.send_now(ines, issue.pk, key=KEY)
    releasing.withdraw_issue(ines, issue.pk)
    run.refresh_from_db()
    assert run.state == State.CANCELLED
    perform(issue, run=run)  # its message arrives all the same
    assert smtp_server.received == []
    assert Issue.objects.get().state == Issue.State.DRAFT


def test_send_now_says_why_it_does_not(large: Newsletter, city_news: List, ines: User) -> None:
    issue = issues.create_issue(ines, large)
    with pytest.raises(ValidationError, match="It would go to 5 recipients, so somebody else must approve it first"):
        releasing.send_now(ines, issue.pk, key=KEY)
    large.lists.set([List.objects.create(name="Empty", slug="empty")])
    with pytest.raises(ValidationError, match="the list Empty has no confirmed subscribers"):
        releasing.send_now(ines, issue.pk, key=KEY)
    assert not Run.objects.exists()


def test_without_a_time_it_is_approved_first_and_sent_afterwards(
    large: Newsletter, ines: User, omar: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    issue = issues.create_issue(ines, large)
    releasing.submit_issue(ines, issue.pk)
    assert releasing.approve_issue(omar, issue.pk).state == Issue.State.DRAFT
    run = releasing.send_now(ines, issue.pk, key=KEY)
    assert perform(issue, run=run).result == "5 sent."


def test_an_audience_that_grew_past_the_limit_is_held_at_its_time(
    large: Newsletter, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    large.approve_above = 5
    large.save()
    due = next_due(large)
    issue = issues.create_issue(ines, large, When(due))
    assert releasing.submit_issue(ines, issue.pk).state == Issue.State.SCHEDULED
    add_readers(large.lists.get(), 1, prefix="late")
    assert perform(large, due_at=due).result == "Waits for approval: 6 recipients."


def test_without_the_right_to_send_nothing_can_be_started_scheduled_or_approved(
    large: Newsletter, ada: User, ines: User
) -> None:
    issue = issues.create_issue(ada, large, When(next_due(large)))
    assert releasing.submit_issue(ada, issue.pk).state == Issue.State.APPROVAL  # handed in, not scheduled
    for act in (
        lambda: releasing.send_now(ada, issue.pk, key=KEY),
        lambda: releasing.approve_issue(ada, issue.pk),
        lambda: releasing.refuse_issue(ada, issue.pk, "x"),
        lambda: services.change_rate(ada, issue.pk, 1, "hour"),
        lambda: issues.move_issue(ada, issue.pk, When(clock.now() + timedelta(days=1), is_own=True)),
    ):
        with pytest.raises(PermissionDenied):
            act()
    issue.refresh_from_db()
    assert (issue.state, issue.approved_by, large.rate) == (Issue.State.APPROVAL, None, None)
    assert Schedule.objects.count() == 1
    assert not Run.objects.exists()
    assert AuditEntry.objects.filter(was_refused=True, actor=ada).count() == 5


def test_an_old_order_to_send_does_not_fire(
    letter: Newsletter, city_news: List, ines: User, smtp_server: SmtpServer, perform: Perform
) -> None:
    add_readers(city_news, 2)
    issue = issues.create_issue(ines, letter)
    run = releasing.send_now(ines, issue.pk, key=KEY)
    Run.objects.filter(pk=run.pk).update(due_at=clock.now() - timedelta(hours=2))  # as in a restored copy
    assert perform(issue, run=run).result.startswith("Not sent: it was asked for at")
    assert smtp_server.received == []
