"""Rows locked for one transaction, with or without waiting for those that somebody else holds."""

from __future__ import annotations

from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

_Row = TypeVar("_Row", bound=Model)


def skip_locked(rows: QuerySet[_Row]) -> QuerySet[_Row]:
    """The rows locked until the transaction ends; rows that are locked already are left out.

    SQLite has one writer at a time and no row locks: there the IMMEDIATE transaction holds the write lock already.
    """
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def locked(rows: QuerySet[_Row]) -> QuerySet[_Row]:
    """The rows locked until the transaction ends, in their order, waiting for whoever holds one."""
    if connection.features.has_select_for_update:
        return rows.select_for_update(of=("self",))
    return rows
