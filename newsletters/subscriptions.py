"""What readers do themselves: sign up, confirm, leave. Also the confirmation mail and what staff may add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q, QuerySet

from newsletters import audience, links, suppressions, tokens
from newsletters.models import (
    Delivery,
    Issue,
    List,
    Newsletter,
    ReaderEvent,
    Subscriber,
    Subscription,
)
from runs import audit, clock, locking
from runs.tasks import JobFailed, RunContext
from schedules import events

State = Subscription.State
CONFIRMATION_EVERY = timedelta(hours=24)
"""One confirmation mail per address in this time: nobody can flood somebody else's mailbox from our form."""
CONSENT = (
    "I would like to get these newsletters by e-mail. I can leave at any time with one click. "
    "The time and the internet address of my confirmation are kept as proof of it."
)
"""The sentence beside the button of the sign-up form, kept with each subscription made by it."""


@dataclass(frozen=True)
class Consent:
    """Where a sign-up came from, and what the reader agreed to."""

    text: str = ""
    ip: str | None = None
    source: str = "web page"
    needs_mail: bool = False
    """Whether the address must be confirmed by mail whatever the list says."""


def sign_up(email: str, email_norm: str, name: str, lists: Sequence[List], consent: Consent = Consent()) -> None:
    """Notes a reader's wish to be on the lists; a worker mails the confirmation link.

    The caller answers the same whether the address is known, suppressed or new.
    """
    if not suppressions.may_ask(email_norm):
        return
    is_silent, now = suppressions.of(email_norm).exists(), clock.now()
    with transaction.atomic():
        subscriber, _ = Subscriber.objects.get_or_create(email_norm=email_norm, defaults={"email": email, "name": name})
        # Two posts at the same moment: the second waits here and then sees that the mail is on its way.
        locking.locked(Subscriber.objects.filter(pk=subscriber.pk)).get()
        to_confirm = []
        for chosen in lists:
            subscription, _ = Subscription.objects.get_or_create(
                subscriber=subscriber, list=chosen,
                defaults={"source": consent.source, "created_at": now, "consent_text": consent.text[:300]},
            )  # fmt: skip
            if subscription.state == State.CONFIRMED and not is_silent:
                continue
            needs_mail = consent.needs_mail or is_silent or chosen.opt_in == "double"
            if not needs_mail and subscription.state == State.PENDING:
                _put_on(subscriber, [chosen.pk], consent.ip)
                continue
            to_confirm.append(chosen.pk)
        asked = Subscription.objects.filter(subscriber=subscriber, mailed_at__gt=now - CONFIRMATION_EVERY)
        if to_confirm and not asked.exists():
            Subscription.objects.filter(subscriber=subscriber, list__in=to_confirm).update(
                mailed_at=now, consent_text=consent.text[:300]
            )
            events.start("confirmation_mail", subscriber, parameters={"lists": to_confirm})


def lists_to_confirm(claim: tokens.Confirmation) -> list[str]:
    """The names of the lists that the link can put the reader on, or has put them on already."""
    return list(_confirmable(claim).order_by("list__name").values_list("list__name", flat=True))


def confirm(claim: tokens.Confirmation, ip: str | None = None) -> list[str]:
    """Puts the reader on the lists they confirmed; returns their names. Doing it twice changes nothing.

    Who left after the mail was sent is not brought back by it.
    """
    with transaction.atomic():
        subscriber = locking.locked(Subscriber.objects.filter(pk=claim.subscriber_id)).first()
        if subscriber is None or not suppressions.may_ask(subscriber.email_norm):
            return []
        names = lists_to_confirm(claim)
        new = list(_confirmable(claim).exclude(state=State.CONFIRMED).values_list("list_id", flat=True))
        if new:
            put_on(subscriber, new, ip)
            audit.record(None, "the reader confirmed", subscriber, after={"lists": names})
            ReaderEvent.objects.create(
                kind=ReaderEvent.Kind.CONFIRMED, subscriber=subscriber, text=", ".join(names)[:300]
            )
    return names


def _confirmable(claim: tokens.Confirmation) -> QuerySet[Subscription]:
    left_since = Q(state=State.UNSUBSCRIBED) & (Q(mailed_at=None) | Q(unsubscribed_at__gte=F("mailed_at")))
    return Subscription.objects.filter(subscriber=claim.subscriber_id, list__in=claim.list_ids).exclude(left_since)


def put_on(subscriber: Subscriber, list_ids: Sequence[int], ip: str | None) -> None:
    """Confirms the reader's places on these lists by their own act, and welcomes them where they were never welcomed.

    Call it inside a transaction. It also lifts what the reader had decided before.
    """
    suppressions.of(subscriber.email_norm).filter(reason__in=suppressions.READERS_OWN).delete()
    _put_on(subscriber, list_ids, ip)


def _put_on(subscriber: Subscriber, list_ids: Sequence[int], ip: str | None) -> None:
    theirs = Subscription.objects.filter(subscriber=subscriber, list__in=list_ids)
    theirs.update(state=State.CONFIRMED, confirmed_at=clock.now(), unsubscribed_at=None, consent_ip=ip)
    to_welcome = theirs.filter(welcomed_at=None).exclude(list__welcome_subject="")
    for list_id in to_welcome.values_list("list_id", flat=True):
        events.start("welcome_mail", subscriber, parameters={"list": list_id})


def lists_to_leave(claim: tokens.Unsubscribe) -> list[str]:
    """The names of the lists that the link takes the reader off."""
    return list(_left_by(claim).order_by("list__name").values_list("list__name", flat=True))


def unsubscribe(claim: tokens.Unsubscribe) -> list[str]:
    """Takes the reader off all lists of the newsletter, at once; returns their names. Idempotent."""
    with transaction.atomic():
        subscriber = locking.locked(Subscriber.objects.filter(pk=claim.subscriber_id)).first()
        names = lists_to_leave(claim)
        if subscriber is not None and names:
            _left_by(claim).update(state=State.UNSUBSCRIBED, unsubscribed_at=clock.now())
            audit.record(None, "the reader unsubscribed", subscriber, after={"lists": names, "issue": claim.issue_id})
            _count_leaving(subscriber, claim.issue_id, names)
    return names


def _count_leaving(subscriber: Subscriber, issue_id: int, names: Sequence[str]) -> None:
    """An event of the reader, counted once on the issue whose link was used."""
    delivery = Delivery.objects.filter(issue=issue_id, subscriber=subscriber).first() if issue_id else None
    said = {"subscriber": subscriber, "issue_id": delivery and delivery.issue_id, "text": ", ".join(names)[:300]}
    if delivery is None:
        ReaderEvent.objects.create(kind=ReaderEvent.Kind.UNSUBSCRIBED, **said)
        return
    _, is_new = ReaderEvent.objects.get_or_create(delivery=delivery, kind=ReaderEvent.Kind.UNSUBSCRIBED, defaults=said)
    if is_new:
        Issue.objects.filter(pk=delivery.issue_id).update(unsubscribed=F("unsubscribed") + 1)


def _left_by(claim: tokens.Unsubscribe) -> QuerySet[Subscription]:
    on = Q(list_id__in=claim.list_ids) | Q(list_id__in=audience.lists_of(Newsletter(pk=claim.newsletter_id)))
    if not claim.list_ids and not Newsletter.objects.filter(pk=claim.newsletter_id).exists():
        on = Q()  # the newsletter is gone and the link names no list: the reader wanted to hear no more
    return Subscription.objects.filter(on, subscriber=claim.subscriber_id).exclude(state=State.UNSUBSCRIBED)


def set_lists(subscriber: Subscriber, lists: Iterable[List], *, source: str) -> dict[str, list[str]]:
    """Puts a subscriber on exactly these lists and returns the names added and removed.

    Call it inside a transaction. Who left a list by themselves is never put back on it by others; ask
    :func:`revivals` first.
    """
    now = clock.now()
    wanted = {chosen.pk: chosen for chosen in lists}
    present = {row.list_id: row for row in Subscription.objects.filter(subscriber=subscriber).select_related("list")}
    added, removed = [], []
    for list_id, chosen in wanted.items():
        row = present.get(list_id)
        if row is None:
            row = Subscription(subscriber=subscriber, list=chosen, source=source)
        if row.state != State.CONFIRMED:
            row.state, row.confirmed_at, row.unsubscribed_at = State.CONFIRMED, now, None
            row.save()
            added.append(chosen.name)
    for list_id, row in present.items():
        if list_id not in wanted and row.state == State.CONFIRMED:
            row.state, row.unsubscribed_at = State.UNSUBSCRIBED, now
            row.save()
            removed.append(row.list.name)
    return {"added": added, "removed": removed}


def revivals(subscriber: Subscriber, lists: Iterable[List]) -> list[str]:
    """Those of the lists that the subscriber has left: only they can come back, by the sign-up page."""
    if not subscriber.pk:
        return []
    left = Q(subscriber=subscriber, list__in=list(lists), state=State.UNSUBSCRIBED)
    return list(Subscription.objects.filter(left).values_list("list__name", flat=True))


def perform_confirmation_mail(run: RunContext) -> str:
    """Mails the confirmation link; the text holds nothing that the visitor typed."""
    subscriber = Subscriber.objects.filter(pk=run.target_id or 0).first()
    if subscriber is None:
        return "Nothing to do: the sign-up was removed."
    list_ids = tuple(
        Subscription.objects.filter(subscriber=subscriber, list__in=run.parameters.get("lists", []))
        .exclude(state=State.CONFIRMED)
        .values_list("list_id", flat=True)
    )
    if not list_ids or not suppressions.may_ask(subscriber.email_norm):
        return "Nothing to do: confirmed already, or not wanted."
    names = List.objects.filter(pk__in=list_ids).order_by("name").values_list("name", flat=True)
    url = links.confirmation_url(subscriber.pk, list_ids)
    mail = EmailMessage(
        subject="Please confirm your subscription",
        body=(
            f"Somebody, probably you, asked us to send {', '.join(names)} to this address.\n\n"
            f"To confirm, open this page and press the button:\n{url}\n\n"
            "If it was not you, do nothing: you will not hear from us again.\n"
        ),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[subscriber.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except OSError as error:  # smtplib's errors are OSErrors too
        raise JobFailed(f"The confirmation mail could not be handed to the mail server ({error}).") from error
    return "Confirmation asked for."
