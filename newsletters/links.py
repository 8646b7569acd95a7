"""The absolute addresses that go into mails."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from newsletters import tokens


def unsubscribe_url(subscriber_id: int, newsletter_id: int, issue_id: int = 0) -> str:
    """Both the page for readers (GET) and the one-click address for mail programs (POST, RFC 8058)."""
    token = tokens.unsubscribe_token(tokens.Unsubscribe(subscriber_id, newsletter_id, issue_id))
    return f"{settings.PUBLIC_URL}{reverse('newsletters:unsubscribe', args=[token])}"


def confirmation_url(subscriber_id: int, list_ids: tuple[int, ...]) -> str:
    """The page on which a reader confirms a sign-up."""
    token = tokens.confirmation_token(tokens.Confirmation(subscriber_id, list_ids))
    return f"{settings.PUBLIC_URL}{reverse('newsletters:confirm', args=[token])}"
