"""What an issue's recipients added up to stays the same on every page and in every report when they are removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.test import Client

from newsletters import kept_counts, segments, services
from newsletters.models import Delivery, Issue, Newsletter, Segment, Subscriber
from reports.datasets import ours, registry
from reports.periods import Window
from runs import clock

pytestmark = pytest.mark.django_db
BEGAN = datetime(2026, 3, 2, 22, 50, tzinfo=timezone.utc)
State = Delivery.State
STATES = (*[State.SENT] * 9, State.FAILED, State.FAILED, State.FAILED, State.SKIPPED, State.UNCERTAIN)


def an_issue(number: int = 0, **values: Any) -> Issue:
    """Fourteen recipients; the mails go out over two hours, before and after midnight in every zone around."""
    letter, _ = Newsletter.objects.get_or_create(name="Weekly letter", defaults={"subject": "News", "body": "News"})
    began = BEGAN + timedelta(days=7 * number)
    counts = {"planned": 14, "sent": 9, "failed": 3, "skipped": 1, "uncertain": 1, "bounced": 2, "unsubscribed": 1}
    issue = Issue.objects.create(
        newsletter=letter, scheduled_for=began, started_at=began, finished_at=began + timedelta(hours=2),
        state=Issue.State.SENT_WITH_PROBLEMS, **counts, **values,
    )  # fmt: skip
    for place, state in enumerate(STATES):
        person, _ = Subscriber.objects.get_or_create(
            email_norm=f"r{place}@x.org", defaults={"email": f"r{place}@x.org"}
        )
        Delivery.objects.create(
            issue=issue, subscriber=person, email=person.email, email_norm=person.email_norm, state=state,
            sent_at=began + timedelta(minutes=13 * place) if state == State.SENT else None,
            code=[550, 550, 421][place % 3] if state == State.FAILED else None,
            text=f"No such user r{place}@x.org" if state == State.FAILED else "",
        )  # fmt: skip
    return issue


def remove_recipients(issue: Issue, count: int | None = None) -> None:
    """As a batch of a cleanup does it."""
    with transaction.atomic():
        rows = Delivery.objects.filter(issue=issue).order_by("pk").values_list("pk", flat=True)
        ready = kept_counts.keep([issue.pk], clock.now())
        Delivery.objects.filter(pk__in=list(rows[:count] if count else rows), issue__in=ready).delete()


def shown(client: Client, issue: Issue) -> dict[str, Any]:
    """Every number that a page or a data set says of it."""
    page = client.get(f"/admin/newsletters/issue/{issue.pk}/change/")
    found: dict[str, Any] = {
        "counts": page.context["counts"],
        "failures": sorted((one["code"], one["number"]) for one in page.context["failures"]),
        "responses": page.context["responses"],
        "list": "9 sent" in client.get("/admin/newsletters/newsletter/").content.decode(),
    }
    for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"):
        for key in ("deliveries_per_day", "issues"):
            window = Window(date(2026, 3, 1), date(2026, 3, 12), zone)
            data_set = {one.key: one for one in ours.OURS}[key]
            found[f"{key} {zone}"] = _rows(data_set, window)
    return found


def _rows(data_set: registry.DataSet, window: Window) -> list[Any]:
    if data_set.rows is not None:
        return list(data_set.rows(window))
    assert data_set.queryset is not None
    names = ("planned", "sent", "failed", "skipped", "uncertain", "bounced", "complained", "unsubscribed", "clicks")
    return list(data_set.queryset(window).values_list(*names))


@pytest.mark.parametrize("count", [None, 5])
def test_every_number_is_the_same_before_and_after(client: Client, count: int | None) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    issue = an_issue()
    an_issue(1)
    before = shown(client, issue)
    assert sum(day[1] for day in before["deliveries_per_day UTC"]) == 18
    remove_recipients(issue, count)
    assert Delivery.objects.filter(issue=issue).count() == (9 if count else 0)
    assert shown(client, issue) == before


def test_what_is_kept_names_nobody() -> None:
    issue = an_issue()
    remove_recipients(issue)
    issue.refresh_from_db()
    assert "x.org" not in str(issue.kept_counts) and issue.kept_counts["failed"] == 3


def test_nothing_of_it_can_be_sent_again(client: Client) -> None:
    issue = an_issue()
    remove_recipients(issue, 5)
    issue.refresh_from_db()
    attempts: list[Callable[[], object]] = [
        lambda: services.retry_failed(None, issue.pk),
        lambda: services.decide_uncertain(None, issue.pk, send_again=True),
        lambda: services.decide_uncertain(None, issue.pk, send_again=False),
    ]
    for attempt in attempts:
        with pytest.raises(ValidationError, match="removed by a cleanup"):
            attempt()
    issue.refresh_from_db()
    assert (issue.state, issue.sent) == (Issue.State.SENT_WITH_PROBLEMS, 9)
    client.force_login(User.objects.create_superuser("boss"))
    page = client.get(f"/admin/newsletters/issue/{issue.pk}/change/").content.decode()
    assert "The numbers stay" in page and "failed again" not in page and "may or may not" not in page


def test_an_issue_that_is_being_sent_again_keeps_its_recipients() -> None:
    issue = an_issue()
    services.retry_failed(None, issue.pk)
    remove_recipients(issue)
    issue.refresh_from_db()
    assert Delivery.objects.filter(issue=issue).count() == 14 and issue.recipients_removed_at is None


def rule(leaf: dict[str, Any]) -> dict[str, Any]:
    return {"all": [leaf]}


def test_what_a_segment_asks_about_is_known() -> None:
    issues = [an_issue(number) for number in range(5)]
    letter = issues[0].newsletter_id
    Segment.objects.create(name="Missed it", rule=rule({"about": "issue", "op": "not_received", "which": issues[0].pk}))
    Segment.objects.create(
        name="Silent", rule=rule({"about": "newsletter", "op": "not_received", "which": letter, "value": 2})
    )
    assert kept_counts.asked_about() == {issues[0].pk, issues[3].pk, issues[4].pk}


def test_a_segment_cannot_ask_who_got_what_was_removed() -> None:
    """Without its recipients "was not sent it" would be true of everybody."""
    issues = [an_issue(number) for number in range(4)]
    remove_recipients(issues[1])
    letter = issues[0].newsletter_id
    about_one = rule({"about": "issue", "op": "not_received", "which": issues[1].pk})
    with pytest.raises(segments.BadRule, match="removed by a cleanup"):
        segments.condition(about_one)
    about_many = {"about": "newsletter", "op": "not_received", "which": letter}
    with pytest.raises(segments.BadRule, match="at most 2"):
        segments.condition(rule({**about_many, "value": 3}))
    assert Subscriber.objects.filter(segments.condition(rule({**about_many, "value": 2}))).count() == 5
    assert not segments.check(rule({"about": "issue", "op": "received", "which": issues[2].pk}))
