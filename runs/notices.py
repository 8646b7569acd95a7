"""Tells one member of staff something in the admin."""

from __future__ import annotations

from runs.models import Notice, RunEvent


def tell(user_id: int | None, text: str, *, url: str = "", level: str = RunEvent.Level.INFO) -> None:
    """Adds a notice for the user; does nothing when nobody is to be told."""
    if user_id is not None:
        Notice.objects.create(user_id=user_id, text=text[:300], url=url, level=level)
