"""A person's private calendar address: made, replaced and taken away by its owner; only a hash of it is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from runs import audit
from runs.models import StaffSettings
from runs.pages import page

PERMISSION = "schedules.view_schedule"


def create_feed(actor: User) -> str:
    """A new private token for the actor, returned this once; an older one stops working.

    Raises:
        PermissionDenied: the actor may not see schedules.
    """
    audit.require(actor, PERMISSION, "make a calendar address")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        own, _ = StaffSettings.objects.select_for_update().get_or_create(user=actor)
        action = "replaced the calendar address" if own.calendar_token_hash else "made a calendar address"
        own.calendar_token_hash = hash_of(token)
        own.save(update_fields=["calendar_token_hash"])
        audit.record(actor, action, own)
    return token


def remove_feed(actor: User) -> bool:
    """Takes the actor's address away; whether there was one. Nobody needs a permission to give something up."""
    with transaction.atomic():
        own = StaffSettings.objects.filter(user=actor, calendar_token_hash__isnull=False).first()
        if own is None:
            return False
        own.calendar_token_hash = None
        own.save(update_fields=["calendar_token_hash"])
        audit.record(actor, "removed the calendar address", own)
    return True


def owner_of(token: str) -> User | None:
    """Whose address this is, if they may still sign in and see schedules.

    The search goes by hash and every answer takes the same steps, so that its time tells nothing about other tokens.
    """
    given = hash_of(token)
    own = StaffSettings.objects.select_related("user").filter(calendar_token_hash=given).first()
    kept = (own.calendar_token_hash or "") if own is not None else "0" * len(given)
    if not hmac.compare_digest(kept, given) or own is None:
        return None
    owner = own.user
    assert isinstance(owner, User)
    return owner if owner.is_active and owner.is_staff and owner.has_perm(PERMISSION) else None


def hash_of(token: str) -> str:
    """What is stored of a token. It is long and random, so that a plain SHA-256 cannot be reversed."""
    return hashlib.sha256(token.encode()).hexdigest()


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Whether there is an address, and what it is good for."""
    _require(request)
    return _page(request)


@require_POST
def make(request: HttpRequest) -> HttpResponse:
    """Answers with the address itself instead of leading to a page, so that it is kept nowhere in between."""
    _require(request)
    assert isinstance(request.user, User)
    token = create_feed(request.user)
    return _page(request, f"{settings.PUBLIC_URL}{reverse('calendar_ics', args=[token])}")


@require_POST
def remove(request: HttpRequest) -> HttpResponse:
    """From now on the address answers nobody."""
    assert isinstance(request.user, User)
    if remove_feed(request.user):
        messages.success(request, "Your private address is removed; calendars that used it show nothing new.")
    return HttpResponseRedirect(reverse("admin:calendar_feed"))


def _require(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def _page(request: HttpRequest, address: str = "") -> HttpResponse:
    has_feed = StaffSettings.objects.filter(user=request.user.pk, calendar_token_hash__isnull=False).exists()
    context = {"title": "In your own calendar", "address": address, "has_feed": has_feed}
    return page(request, "scheduler_site/calendar_feed.html", context)
