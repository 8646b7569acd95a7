"""A letter sent to staff before readers get it: a real mail with every header, that can do no harm."""

from __future__ import annotations

import re
import smtplib
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.mail.backends.smtp import EmailBackend
from django.db import models
from django.utils import timezone

from newsletters import (
    attachments,
    content,
    drafts,
    feeds,
    links,
    merge_fields,
    message,
    preparing,
    reader_words,
    senders,
    tokens,
)
from newsletters.drafts import Draft
from newsletters.models import Issue, Subscriber
from newsletters.source_errors import SourceError
from runs import audit, clock, offered_files
from runs.audit import Actor
from runs.models import AuditEntry

PERMISSION = "newsletters.change_newsletter"
ACTION = "sent a test mail"
MOST_ADDRESSES = 5
MOST_PER_HOUR = 30
SECONDS = 10
"""Somebody waits for the answer."""
_LOOKED_BACK = 200


@dataclass(frozen=True)
class _Colleague:
    name: str
    email: str


def send_test(actor: Actor, draft: Draft, to: str) -> list[str]:
    """Mails the letter as it stands to up to five members of staff; returns their addresses.

    The subject begins with "[Test]", and the links that would change something say that this is a test.

    Raises:
        PermissionDenied: the actor may not write newsletters.
        ValidationError: addresses that are not staff's, too many tests, a letter that cannot be made, or a mail
            server that does not take it.
    """
    target = _target(draft)
    audit.require(actor, PERMISSION, "send a test mail", target)
    colleagues = _colleagues(to)
    _check_rate(actor)
    if draft.newsletter.from_email and (words := senders.refusal(draft.newsletter.from_email)):
        raise ValidationError({"from_email": words})
    source = draft.source
    try:
        merge_fields.check({"subject": source.subject, "preheader": source.preheader, "body": source.body})
        whole = drafts.with_feed(draft).source
        frozen = content.freeze(replace(whole, subject=f"[Test] {source.subject}", click_url=None))
    except feeds.FeedProblem as feed_problem:
        raise ValidationError(str(feed_problem)) from feed_problem
    except SourceError as error:
        raise ValidationError({error.field: str(error)}) from error
    attached = _attachment(actor, draft, colleagues)
    emails = [colleague.email for colleague in colleagues]
    problem = _send([(colleague.email, _build(draft, frozen, colleague, attached)) for colleague in colleagues], draft)
    after = {"to": emails, "subject": source.subject, "letter": drafts.fingerprint(source), "arrived": not problem}
    audit.record(actor, ACTION, target, after=after, reason=problem)
    if problem:
        raise ValidationError(problem)
    if draft.issue is not None:
        Issue.objects.filter(pk=draft.issue.pk).update(tested_at=clock.now())
    return emails


def leaves_out_attachment(actor: Actor, draft: Draft, emails: list[str]) -> bool:
    """Whether a test has no attachment although the letter has one: a test is no way around a permission."""
    key = draft.newsletter.attachment
    users = get_user_model()._default_manager.filter(email__in=emails)
    return bool(key) and not all(offered_files.may_hand_on(person, key) for person in (actor, *users))


def was_tested(draft: Draft) -> bool:
    """Whether a test of exactly this letter was sent."""
    target = _target(draft)
    if target is None:
        return False
    about = AuditEntry.objects.filter(object_type=target._meta.label_lower, object_id=str(target.pk))
    fingerprint = drafts.fingerprint(draft.source)
    latest = about.order_by("-id").values_list("action", "after")[:_LOOKED_BACK]
    return any(
        action == ACTION and after.get("letter") == fingerprint and after.get("arrived") for action, after in latest
    )


def _target(draft: Draft) -> models.Model | None:
    if draft.issue is not None:
        return draft.issue
    newsletter = draft.newsletter
    return type(newsletter).objects.filter(pk=newsletter.pk).first() if newsletter.pk else None


def _colleagues(to: str) -> list[_Colleague]:
    typed = list(dict.fromkeys(part.strip() for part in re.split(r"[,;\s]+", to) if part.strip()))
    if not typed:
        raise ValidationError({"test_to": "Write the address that the test goes to."})
    if len(typed) > MOST_ADDRESSES:
        raise ValidationError({"test_to": f"A test goes to at most {MOST_ADDRESSES} addresses."})
    staff = get_user_model()._default_manager.filter(is_active=True, is_staff=True).exclude(email="")
    found = []
    for address in typed:
        user = staff.filter(email__iexact=address).first()
        if user is None:
            raise ValidationError(
                {"test_to": f"{address[:100]} belongs to nobody who works with this desk. Tests go to colleagues only."}
            )
        found.append(_Colleague(user.get_full_name(), str(user.email)))
    return found


def _check_rate(actor: Actor) -> None:
    if actor is None:
        return
    latest = AuditEntry.objects.filter(actor_id=actor.pk).order_by("-id").values_list("action", "at")[:_LOOKED_BACK]
    since = timezone.now() - timedelta(hours=1)
    if sum(action == ACTION and at > since for action, at in latest) >= MOST_PER_HOUR:
        raise ValidationError(f"You sent {MOST_PER_HOUR} tests within an hour. Wait a little before the next one.")


def _attachment(actor: Actor, draft: Draft, colleagues: list[_Colleague]) -> bytes:
    """The file that readers would get now; nothing where not everybody concerned may see it."""
    if leaves_out_attachment(actor, draft, [colleague.email for colleague in colleagues]):
        return b""
    try:
        return attachments.part_for_test(draft.newsletter)
    except attachments.CannotAttach as error:
        raise ValidationError(f"Readers would get nothing as it stands. {error}") from error


def _build(draft: Draft, frozen: content.Frozen, colleague: _Colleague, attached: bytes) -> bytes:
    newsletter = draft.newsletter
    reader = Subscriber.objects.filter(email_norm=colleague.email.lower()).first()
    attributes = reader.attributes if reader is not None and isinstance(reader.attributes, dict) else {}
    url = links.unsubscribe_url(tokens.NOBODY, newsletter.pk or 0)
    urls = {"unsubscribe_url": url, "preferences_url": url, "view_url": url}
    values = reader_words.merge_values(colleague.name, colleague.email, attributes, urls, merge_fields.kinds())
    letter = content.Parts(frozen).fill(values)
    envelope = preparing.envelope_before_sending(newsletter, f"test:{uuid.uuid4()}", attached)
    return message.build(
        envelope, delivery_id=0, to_name=colleague.name, to_email=colleague.email, subject=letter.subject,
        html=letter.html, text=letter.text, unsubscribe_url=url, date=timezone.now(),
    )  # fmt: skip


def _send(mails: list[tuple[str, bytes]], draft: Draft) -> str:
    """Hands the mails over; returns what went wrong, in words."""
    server = EmailBackend(timeout=SECONDS)
    try:
        server.open()
        connection = server.connection
        assert connection is not None
        for email, data in mails:
            connection.sendmail(preparing.sender_of(draft.newsletter).email, [email], data)
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"The mail server did not take the test: {error.smtp_code} {text}"[:300]
    except smtplib.SMTPRecipientsRefused as error:
        return f"The mail server did not take the test: {next(iter(error.recipients.values()))[1]!r}"[:300]
    except (smtplib.SMTPException, OSError) as error:
        return f"The mail server cannot be reached, so no test was sent ({getattr(error, 'strerror', '') or error})."[
            :300
        ]
    finally:
        server.close()
    return ""
