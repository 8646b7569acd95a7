"""What happens after too many wrong passwords: a page in plain words, and an entry in the activity log."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth import get_user_model
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from runs.models import AuditEntry
from runs.words import duration
from scheduler_site import views

MOST_PER_ADDRESS = 20
"""Names that are listed for one address while the wait lasts; more are only counted by axes."""


def locked_out(request: HttpRequest, response: HttpResponse, credentials: Any = None, *args: Any) -> HttpResponse:
    """429: says how long to wait and who can help; the same whether the name exists or not."""
    shown = views.too_many_attempts(request, duration(settings.AXES_COOLOFF_TIME))
    shown.headers["Retry-After"] = str(int(settings.AXES_COOLOFF_TIME.total_seconds()))
    return shown


@receiver(user_locked_out)
def record_lockout(sender: Any, *, username: str | None = None, ip_address: str | None = None, **_: Any) -> None:
    """One entry per name and address while the wait lasts, however often it is tried."""
    where = str(ip_address or "an unknown address")
    # What is no name of ours may be a password in the wrong field: it is never written down.
    known = get_user_model()._default_manager.filter(**{"username": username or ""}).exists()
    name = str(username)[:150] if known else "a name that nobody has"
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    recent = AuditEntry.objects.filter(object_type="sign-in", object_id=where[:40], at__gt=since)
    listed = list(recent.values_list("object_label", flat=True)[:MOST_PER_ADDRESS])
    if name in listed or len(listed) == MOST_PER_ADDRESS:
        return
    AuditEntry.objects.create(
        actor_name="Somebody", action="sign in", object_type="sign-in", object_id=where[:40], object_label=name,
        reason=f"{settings.AXES_FAILURE_LIMIT} wrong passwords from {where}", was_refused=True,
    )  # fmt: skip
