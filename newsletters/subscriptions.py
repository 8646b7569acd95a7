"""What readers do themselves: sign up, confirm, leave. Also the confirmation mail and what staff may add."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet

from newsletters import audience, links, tokens
from newsletters.models import List, Newsletter, Subscriber, Subscription
from runs import audit, clock
from runs.tasks import JobFailed, RunContext
from schedules import events

State = Subscription.State
CONFIRMATION_EVERY = timedelta(hours=24)
"""One confirmation mail per address in this time: nobody can flood somebody else's mailbox from our form."""


def sign_up(email: str, email_norm: str, name: str, lists: Sequence[List]) -> None:
    """Notes a reader's wish to be on the lists; a worker mails the confirmation link.

    The caller answers the same whether the address is known, suppressed or new.
    """
    if audience.suppressed_among([email_norm]):
        return
    now = clock.now()
    with transaction.atomic():
        subscriber, _ = Subscriber.objects.get_or_create(email_norm=email_norm, defaults={"email": email, "name": name})
        to_confirm = []
        for chosen in lists:
            subscription, _ = Subscription.objects.get_or_create(
                subscriber=subscriber, list=chosen, defaults={"source": "web page", "created_at": now}
            )
            if subscription.state == State.CONFIRMED:
                continue
            if chosen.opt_in == "single" and subscription.state == State.PENDING:
                Subscription.objects.filter(pk=subscription.pk).update(state=State.CONFIRMED, confirmed_at=now)
                continue
            to_confirm.append(chosen.pk)
        asked = Subscription.objects.filter(subscriber=subscriber, mailed_at__gt=now - CONFIRMATION_EVERY)
        if to_confirm and not asked.exists():
            Subscription.objects.filter(subscriber=subscriber, list__in=to_confirm).update(mailed_at=now)
            events.start("confirmation_mail", subscriber, parameters={"lists": to_confirm})


def confirm(claim: tokens.Confirmation) -> list[str]:
    """Puts the reader on the lists they confirmed; returns their names. Doing it twice changes nothing."""
    now = clock.now()
    with transaction.atomic():
        theirs = Subscription.objects.filter(subscriber=claim.subscriber_id, list__in=claim.list_ids)
        names = list(theirs.order_by("list__name").values_list("list__name", flat=True))
        changed = theirs.exclude(state=State.CONFIRMED).update(
            state=State.CONFIRMED, confirmed_at=now, unsubscribed_at=None
        )
        if changed:
            subscriber = Subscriber.objects.get(pk=claim.subscriber_id)
            audit.record(None, "the reader confirmed", subscriber, after={"lists": names})
    return names


def lists_to_leave(claim: tokens.Unsubscribe) -> list[str]:
    """The names of the newsletter's lists that the reader is on."""
    return list(_left_by(claim).order_by("list__name").values_list("list__name", flat=True))


def unsubscribe(claim: tokens.Unsubscribe) -> list[str]:
    """Takes the reader off all lists of the newsletter, at once; returns their names. Idempotent."""
    with transaction.atomic():
        names = lists_to_leave(claim)
        if names:
            _left_by(claim).update(state=State.UNSUBSCRIBED, unsubscribed_at=clock.now())
            subscriber = Subscriber.objects.get(pk=claim.subscriber_id)
            audit.record(None, "the reader unsubscribed", subscriber, after={"lists": names, "issue": claim.issue_id})
    return names


def _left_by(claim: tokens.Unsubscribe) -> QuerySet[Subscription]:
    lists = audience.lists_of(Newsletter(pk=claim.newsletter_id))
    return Subscription.objects.filter(subscriber=claim.subscriber_id, list_id__in=lists).exclude(
        state=State.UNSUBSCRIBED
    )


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
    if not list_ids or audience.suppressed_among([subscriber.email_norm]):
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
