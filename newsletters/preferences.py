"""What readers decide on their own page: lists, name, address, leaving everything, their data, being erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from newsletters import addresses, erasing, floods, links, reader_mails, subscriptions, suppressions, tokens
from newsletters.models import List, ReaderEvent, Subscriber, SubscriberField, Subscription, Suppression
from runs import audit, clock, locking

State = Subscription.State
PAGE_MAIL_EVERY = timedelta(hours=1)
REQUEST_MAIL_EVERY = timedelta(minutes=10)
NEW_ADDRESS_MAIL_EVERY = timedelta(hours=24)


@dataclass(frozen=True)
class Choices:
    """What a reader wants from now on; what is None stays as it is."""

    list_ids: Sequence[int]
    name: str
    language: str
    values: dict[str, Any] = field(default_factory=dict)
    """By the short name of a public field; None for no value."""


def lists_for(subscriber: Subscriber) -> QuerySet[List]:
    """The lists that a reader may choose from: the public ones, and those that they are on."""
    theirs = Subscription.objects.filter(subscriber=subscriber, state=State.CONFIRMED)
    return List.objects.filter(Q(public=True) | Q(pk__in=theirs.values("list"))).order_by("name")


def chosen_lists(subscriber: Subscriber) -> list[List]:
    """Those that the reader gets now."""
    return [place.list for place in _confirmed(subscriber).select_related("list")]


def public_fields() -> list[SubscriberField]:
    """The attributes that readers may see and change, in their order."""
    return list(SubscriberField.objects.filter(is_public=True))


def save_choices(reader: tokens.Reader, choices: Choices, ip: str | None) -> bool:
    """Keeps what the reader chose; whether anything changed. The same choices again change nothing.

    Raises:
        tokens.BadToken: erased, or under another address by now.
    """
    with transaction.atomic():
        subscriber = _locked(reader)
        offered = set(lists_for(subscriber).values_list("pk", flat=True))
        changed = _change_lists(subscriber, offered & set(choices.list_ids), offered, ip)
        changed += _change_facts(subscriber, choices)
        if changed:
            _note(subscriber, "the reader changed their preferences", ", ".join(changed))
    return bool(changed)


def leave_everything(reader: tokens.Reader) -> None:
    """Takes the reader off every list and writes to the address no more, whoever asks but the reader.

    Raises:
        tokens.BadToken: erased, or under another address by now.
    """
    with transaction.atomic():
        subscriber = _locked(reader)
        left = Subscription.objects.filter(subscriber=subscriber).exclude(state=State.UNSUBSCRIBED)
        number = left.update(state=State.UNSUBSCRIBED, unsubscribed_at=clock.now())
        is_new = not suppressions.of(subscriber.email_norm).exists()
        suppressions.note(None, subscriber.email_norm, Suppression.Reason.UNSUBSCRIBED, "")
        if number or is_new:
            audit.record(None, "the reader left everything", subscriber)
            ReaderEvent.objects.create(
                kind=ReaderEvent.Kind.UNSUBSCRIBED, subscriber=subscriber, text="Left everything."
            )


def ask_for_page(email_norm: str) -> None:
    """Mails the link to their page to a reader; nothing happens for an address that is not with us."""
    subscriber = Subscriber.objects.filter(email_norm=email_norm).first()
    if subscriber is None or not suppressions.may_ask(email_norm):
        return
    _plan(subscriber, reader_mails.ABOUT_PAGE, PAGE_MAIL_EVERY)


def ask_for_data(reader: tokens.Reader) -> None:
    """Mails the link to a copy of the data. Raises tokens.BadToken."""
    _plan(tokens.subscriber_of(reader), reader_mails.ABOUT_DATA, REQUEST_MAIL_EVERY)


def ask_to_be_erased(reader: tokens.Reader) -> None:
    """Mails the link by which the reader is erased. Raises tokens.BadToken."""
    _plan(tokens.subscriber_of(reader), reader_mails.ABOUT_ERASING, REQUEST_MAIL_EVERY)


def ask_for_new_address(reader: tokens.Reader, email: str) -> None:
    """Mails a link to the new address, by which the reader shows that it is theirs.

    The page answers the same whatever is known about the new address. Raises tokens.BadToken.
    """
    norm = addresses.normalise(email)
    with transaction.atomic():
        subscriber = _locked(reader)
        if norm == subscriber.email_norm or not suppressions.may_ask(norm):
            return
        # Two counts: nobody gets many of these, and nobody sends many.
        if not floods.may_mail("from", subscriber.email_norm, timedelta(0), most_per_day=5):
            return
        if not floods.may_mail("to", norm, NEW_ADDRESS_MAIL_EVERY):
            return
        holder = Subscriber.objects.filter(email_norm=norm).first()
        if holder is not None:
            reader_mails.plan_mail(holder, reader_mails.ABOUT_TAKEN_ADDRESS)
        else:
            reader_mails.plan_mail(subscriber, reader_mails.ABOUT_NEW_ADDRESS, to=email)


def move(claim: tokens.NewAddress) -> Subscriber:
    """Gives the reader the new address that they confirmed, and tells the old one. Doing it twice changes nothing.

    Raises:
        tokens.BadToken: erased, moved elsewhere, or somebody else has the address by now.
    """
    norm = addresses.normalise(claim.email)
    with transaction.atomic():
        subscriber = locking.locked(Subscriber.objects.filter(pk=claim.reader.subscriber_id)).first()
        if subscriber is None:
            raise tokens.BadToken
        if subscriber.email_norm == norm:
            return subscriber
        old = tokens.subscriber_of(claim.reader).email
        subscriber.email, subscriber.soft_bounces = claim.email, 0
        try:
            with transaction.atomic():
                subscriber.save(update_fields=["email", "email_norm", "soft_bounces"])
        except IntegrityError as error:
            raise tokens.BadToken from error
        _note(subscriber, "the reader changed their address", "the address")
        reader_mails.plan_mail(subscriber, reader_mails.ABOUT_MOVE, to=old)
    return subscriber


def erase(reader: tokens.Reader) -> None:
    """Writes to the reader no more, and has a worker erase them. Raises tokens.BadToken when that has been done."""
    with transaction.atomic():
        erasing.plan(_locked(reader))


def page_of(subscriber: Subscriber) -> str:
    """The address of the reader's page."""
    return links.preferences_url(subscriber.pk, subscriber.email_norm)


def _locked(reader: tokens.Reader) -> Subscriber:
    locking.locked(Subscriber.objects.filter(pk=reader.subscriber_id)).first()
    return tokens.subscriber_of(reader)


def _confirmed(subscriber: Subscriber) -> QuerySet[Subscription]:
    return Subscription.objects.filter(subscriber=subscriber, state=State.CONFIRMED)


def _change_lists(subscriber: Subscriber, wanted: set[int], offered: set[int], ip: str | None) -> list[str]:
    present = set(_confirmed(subscriber).values_list("list_id", flat=True))
    on, off = wanted - present, (offered & present) - wanted
    for list_id in on:
        Subscription.objects.get_or_create(subscriber=subscriber, list_id=list_id, defaults={"source": "own page"})
    if on:
        Subscription.objects.filter(subscriber=subscriber, list__in=on).update(consent_text="Chosen on their own page.")
        subscriptions.put_on(subscriber, sorted(on), ip)
    if off:
        Subscription.objects.filter(subscriber=subscriber, list__in=off).update(
            state=State.UNSUBSCRIBED, unsubscribed_at=clock.now()
        )
    names = dict(List.objects.filter(pk__in=on | off).values_list("pk", "name"))
    return [f"{'on' if pk in on else 'off'} {names[pk]}" for pk in sorted(on | off)]


def _change_facts(subscriber: Subscriber, choices: Choices) -> list[str]:
    attributes = {key: value for key, value in subscriber.attributes.items() if key not in choices.values}
    attributes |= {key: value for key, value in choices.values.items() if value not in (None, "")}
    new = {"name": choices.name, "language": choices.language, "attributes": attributes}
    changed = [name for name, value in new.items() if getattr(subscriber, name) != value]
    for name in changed:
        setattr(subscriber, name, new[name])
    if changed:
        subscriber.save(update_fields=changed)
    return ["further facts" if name == "attributes" else f"the {name}" for name in changed]


def _note(subscriber: Subscriber, action: str, what: str) -> None:
    """On record is what was changed, not the words that the reader wrote."""
    audit.record(None, action, subscriber, after={"changed": what})
    ReaderEvent.objects.create(kind=ReaderEvent.Kind.CHANGED, subscriber=subscriber, text=what[:300])


def _plan(subscriber: Subscriber, about: str, every: timedelta) -> None:
    with transaction.atomic():
        locking.locked(Subscriber.objects.filter(pk=subscriber.pk)).first()
        if floods.may_mail(about, subscriber.email_norm, every):
            reader_mails.plan_mail(subscriber, about)
