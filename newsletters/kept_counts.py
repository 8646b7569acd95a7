"""What the recipients of an issue add up to, kept on the issue when they are removed: pages and reports go on showing it.

Kept are counts only: mails sent in each quarter of an hour (no time zone begins a day anywhere else), how many failed,
and the answers of mail servers to those, without addresses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, Max, QuerySet
from django.db.models.functions import TruncMinute

from newsletters import recipients, rule_trees
from newsletters.models import Delivery, Issue, ReaderEvent, Segment
from newsletters.remembered_issues import NEVER_SENT
from newsletters.segment_leaves import MAX_ISSUES
from runs.locking import locked

QUARTER = 15
ANSWERS_KEPT = 100
_BOUNCES = (ReaderEvent.Kind.HARD_BOUNCE, ReaderEvent.Kind.SOFT_BOUNCE)


def keep(issue_ids: Iterable[int], now: datetime) -> set[int]:
    """Writes the counts down on those issues that have none yet; returns those whose recipients may be removed now.

    Call it in the transaction that removes them. An issue of which something is being sent again is not among them.
    """
    ended = Issue.objects.filter(pk__in=set(issue_ids), state__in=Issue.FINISHED).order_by("pk")
    ready = set()
    for issue in locked(ended.only("pk", "recipients_removed_at")):
        ready.add(issue.pk)
        if issue.recipients_removed_at is None:
            Issue.objects.filter(pk=issue.pk).update(recipients_removed_at=now, kept_counts=_counts(issue.pk))
    return ready


def begin_again(issue: Issue) -> None:
    """Opens an issue that ended with problems. Raises ValidationError when its recipients were removed."""
    require_recipients(issue)
    whole = Issue.objects.filter(
        pk=issue.pk, state=Issue.State.SENT_WITH_PROBLEMS, recipients_removed_at=None
    )  # a cleanup or another click may have been quicker
    if not whole.update(state=Issue.State.RUNNING, finished_at=None):
        issue.refresh_from_db(fields=["recipients_removed_at"])
        require_recipients(issue)
        raise ValidationError("Somebody else was quicker: this issue is being sent already.")


def require_recipients(issue: Issue) -> None:
    """Raises ValidationError when the recipients were removed: nobody knows any more whom a second try would reach."""
    if issue.recipients_removed_at is not None:
        raise ValidationError("Who got this issue was removed by a cleanup, so nothing of it can be sent again.")


def failures(issue: Issue) -> list[dict[str, Any]]:
    """The answers to mails that failed, most frequent first; code, number and an example without any address."""
    return [dict(one) for one in issue.kept_counts.get("failures", [])]


def asked_about() -> set[int]:
    """Issues whose recipients a segment asks about: without them "was not sent it" would mean everybody."""
    numbers: set[int] = set()
    for rule in Segment.objects.values_list("rule", flat=True):
        numbers |= {one for leaf in rule_trees.leaves(rule, "issue") if isinstance(one := leaf.get("which"), int)}
        for leaf in rule_trees.leaves(rule, "newsletter"):
            if isinstance(newsletter_id := leaf.get("which"), int):
                count = leaf.get("value")
                numbers |= set(_latest(newsletter_id, count if isinstance(count, int) else MAX_ISSUES))
    return numbers


def last_bounces() -> QuerySet[ReaderEvent, Any]:
    """The latest bounce of each reader we still have: "whose mail has never bounced" stays true of the others alone."""
    bounced = ReaderEvent.objects.filter(kind__in=_BOUNCES, subscriber__isnull=False)
    return bounced.order_by().values("subscriber", "kind").annotate(last=Max("pk")).values("last")


def _latest(newsletter_id: int, count: int) -> list[int]:
    """As the segment finds them: the newest ones, whatever became of them."""
    found = Issue.objects.filter(newsletter_id=newsletter_id).exclude(state__in=NEVER_SENT)
    return list(found.order_by("-scheduled_for", "-pk").values_list("pk", flat=True)[: max(count, 0)])


def _counts(issue_id: int) -> dict[str, Any]:
    rows = Delivery.objects.filter(issue=issue_id).order_by()
    sent: Counter[str] = Counter()
    by_minute = rows.filter(state=Delivery.State.SENT, sent_at__isnull=False).annotate(
        minute=TruncMinute("sent_at", tzinfo=timezone.utc)
    )
    for minute, number in by_minute.values("minute").annotate(number=Count("pk")).values_list("minute", "number"):
        quarter = minute.astimezone(timezone.utc).replace(minute=minute.minute - minute.minute % QUARTER)
        sent[quarter.isoformat()] += number
    failed = rows.filter(state=Delivery.State.FAILED)
    answers = failed.values("code").annotate(number=Count("pk"), example=Max("text")).order_by("-number", "code")
    return {
        "sent": dict(sent),
        "failed": failed.count(),
        "failures": [
            {"code": one["code"], "number": one["number"], "example": recipients.without_addresses(one["example"])}
            for one in answers[:ANSWERS_KEPT]
        ],
    }
