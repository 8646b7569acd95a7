"""What a mail provider tells us by its webhook, read by django-anymail and given to the same functions as bounces.

Mail goes out through the provider's SMTP server as through any other; only what comes back takes this way.
"""

from __future__ import annotations

import json
from typing import Any

from anymail.signals import AnymailTrackingEvent, tracking
from django.dispatch import receiver
from django.urls import URLPattern, path
from django.utils.datastructures import MultiValueDict

from newsletters import addresses, bounces, subscriptions, tokens, verp
from newsletters.bounce_classes import Kind, classify
from newsletters.bounce_reading import Failure
from newsletters.models import Delivery

_OF_REASON = {"invalid": Kind.HARD, "timed_out": Kind.SOFT, "blocked": Kind.POLICY, "spam": Kind.POLICY}


def addresses_of(provider: str) -> list[URLPattern]:
    """The one address that this installation's provider posts to; none where no provider is set."""
    if not provider:
        return []
    import anymail.urls  # reads every provider's module, and most installations have none

    (view,) = [known.callback for known in anymail.urls.urlpatterns if known.name == f"{provider}_tracking_webhook"]
    # The password in the address or the signature of the body is the authority; anymail compares them in constant time.
    return [path("webhooks/mail/", view, name="provider_events")]


@receiver(tracking, dispatch_uid="newsletters.provider_events")
def receive(sender: Any, event: AnymailTrackingEvent, esp_name: str, **rest: Any) -> None:
    """Deals with one event. An error is the provider's to hear about: it sends the event again."""
    delivery = _delivery(event)
    if delivery is None:
        return
    if event.event_type == "unsubscribed" and delivery.subscriber_id:
        newsletter_id = delivery.issue.newsletter_id
        subscriptions.unsubscribe(tokens.Unsubscribe(delivery.subscriber_id, newsletter_id, delivery.issue_id))
        return
    failure = _failure(event, esp_name)
    if failure.kind is not Kind.NOTHING:
        bounces.record(delivery, failure)


def _failure(event: AnymailTrackingEvent, provider: str) -> Failure:
    said = " ".join(str(event.mta_response or event.description or "").split())
    if event.event_type == "complained":
        return Failure(Kind.COMPLAINT, text=f"abuse {provider}")
    if event.event_type not in ("bounced", "rejected"):
        return Failure(Kind.NOTHING)
    kind, status = classify("", said)
    if not status and event.reject_reason in _OF_REASON:
        kind = _OF_REASON[event.reject_reason]
    if event.event_type == "rejected" and event.reject_reason == "unsubscribed":
        kind = Kind.NOTHING
    return Failure(kind, status, said or f"{provider}: {event.reject_reason or event.event_type}")


def _delivery(event: AnymailTrackingEvent) -> Delivery | None:
    """By our mark, which most providers quote with the Message-ID; else the latest mail to that address."""
    raw = event.esp_event
    quoted = json.dumps(dict(raw.lists()) if isinstance(raw, MultiValueDict) else raw, default=str)
    everything = f"{event.message_id} {quoted}"
    marked = {*verp.deliveries_of_message_ids(everything), *verp.deliveries_in(everything)}
    deliveries = Delivery.objects.select_related("issue")
    if len(marked) == 1:
        return deliveries.filter(pk=marked.pop()).first()
    try:
        norm = addresses.normalise(event.recipient or "")
    except addresses.BadAddress:
        return None
    gone_out = (Delivery.State.SENT, Delivery.State.UNCERTAIN)
    theirs = deliveries.filter(subscriber__email_norm=norm, email_norm=norm, state__in=gone_out)
    return theirs.order_by("-pk").first()
