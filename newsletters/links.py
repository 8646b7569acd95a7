"""The absolute addresses that go into mails."""

from __future__ import annotations

import functools
import uuid

from django.conf import settings
from django.urls import reverse

from newsletters import tokens
from newsletters.models import Subscriber

_PLACEHOLDER = "a.b"


def unsubscribe_url(subscriber_id: int, newsletter_id: int, issue_id: int = 0, list_ids: tuple[int, ...] = ()) -> str:
    """Both the page for readers (GET) and the one-click address for mail programs (POST, RFC 8058)."""
    claim = tokens.Unsubscribe(subscriber_id, newsletter_id, issue_id, list_ids)
    return _with_token("unsubscribe", tokens.unsubscribe_token(claim))


def confirmation_url(subscriber_id: int, list_ids: tuple[int, ...]) -> str:
    """The page on which a reader confirms a sign-up."""
    return public("confirm", tokens.confirmation_token(tokens.Confirmation(subscriber_id, list_ids)))


def preferences_url(subscriber_id: int, email_norm: str) -> str:
    """The reader's own page: lists, name, address, everything that we know."""
    return _with_token("preferences", tokens.preferences_token(subscriber_id, email_norm))


def view_url(issue_id: int, delivery_id: int = 0) -> str:
    """The issue in the browser, with one recipient's values or, without a delivery, with nobody's."""
    return _with_token("view", tokens.view_token(tokens.View(issue_id, delivery_id)))


def click_url(issue_public_id: str | uuid.UUID, number: int) -> str:
    """The address that counts a click on the issue's link of this number and leads there."""
    return public("click", tokens.click_token(str(issue_public_id), number))


def new_address_url(subscriber: Subscriber, email: str) -> str:
    """The page on which a reader confirms that a new address is theirs."""
    return public("new_address", tokens.new_address_token(subscriber, email))


def data_url(subscriber: Subscriber) -> str:
    """The page on which a reader fetches a copy of what we hold about them."""
    return public("my_data", tokens.request_token(tokens.DATA, subscriber))


def erase_url(subscriber: Subscriber) -> str:
    """The page on which a reader is erased."""
    return public("erase", tokens.request_token(tokens.ERASE, subscriber))


def _with_token(name: str, token: str) -> str:
    """As :func:`public`, for what goes into each of a million mails: tokens need no quoting."""
    before, after = _around_token(name)
    return f"{settings.PUBLIC_URL}{before}{token}{after}"


@functools.cache
def _around_token(name: str) -> tuple[str, str]:
    before, _, after = reverse(f"newsletters:{name}", args=[_PLACEHOLDER]).partition(_PLACEHOLDER)
    return before, after


def public(name: str, *arguments: object) -> str:
    """A page for readers, with the address of the site."""
    return f"{settings.PUBLIC_URL}{reverse(f'newsletters:{name}', args=arguments)}"
