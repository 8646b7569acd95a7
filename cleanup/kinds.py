"""Announces what this app can do."""

from __future__ import annotations


def register() -> None:
    """Adds the kinds of this app."""
