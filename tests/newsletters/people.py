"""Members of staff with one right or another, and a schedule for a newsletter."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission, User

from newsletters import due_times
from newsletters.models import Newsletter
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

WRITES = ("add_issue", "change_issue", "delete_issue", "view_issue", "view_newsletter", "change_newsletter")
SENDS = (*WRITES, "send_newsletter", "approve_issue", "view_delivery", "view_subscriber", "export_subscriber")


def staff(name: str, *codenames: str) -> User:
    """A person with these permissions of the newsletters."""
    user = User.objects.create_user(name, f"{name}@example.org", "pw", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames, content_type__app_label="newsletters"))
    return user


def weekly(letter: Newsletter, **values: Any) -> Schedule:
    """Mondays at nine in Berlin."""
    draft = {
        "name": f"{letter}, Mondays",
        "target_id": letter.pk,
        "expression": "0 9 * * mon",
        "time_zone": "Europe/Berlin",
    }
    return services.create_schedule(None, ScheduleDraft.for_kind("newsletter", **{**draft, **values}))


def next_due(letter: Newsletter) -> datetime:
    """The newsletter's next due time."""
    return due_times.ahead(letter.pk, 1)[0].at
