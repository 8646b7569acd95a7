"""Addresses of admin pages, for messages written where there is no request."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse


def page(name: str, *arguments: int) -> str:
    """The address of an admin page; empty in a process that serves none."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
