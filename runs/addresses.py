"""Addresses of admin pages, for messages written where there is no request."""

from __future__ import annotations

from functools import lru_cache

from django.urls import NoReverseMatch, reverse


def of_row(name: str, number: int) -> str:
    """The address of one row's page, for lists: reverse() for each of some hundred links takes longer than the rows."""
    return _of_row_zero(name).replace("/0/", f"/{number}/", 1)


@lru_cache
def _of_row_zero(name: str) -> str:
    return reverse(name, args=[0])


def page(name: str, *arguments: int) -> str:
    """The address of an admin page; empty in a process that serves none."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
