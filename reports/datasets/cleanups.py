"""Cleanup volumes: how many rows of each kind every cleanup deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db.models import QuerySet

from reports.datasets.registry import Column, DataSet, Kind, Row
from reports.periods import Window


def rows(window: Window) -> Iterator[Row]:
    """(began, policy, what, deleted, state), oldest first: one for each kind of row that a cleanup touched."""
    for one in _begun(window).order_by("started_at", "pk").iterator(chunk_size=500):
        for target, count in sorted(one.deleted.items()):
            # A target may be registered no longer; what it is called in the settings of a policy says enough.
            what = str(target).replace("_", " ").capitalize()
            yield (one.started_at, one.policy_name, what, int(count), one.state)


def _begun(window: Window) -> QuerySet[Any]:
    cleanups = apps.get_model("cleanup", "CleanupRun")._default_manager
    return cleanups.filter(started_at__gte=window.start, started_at__lt=window.end)


CLEANUPS = DataSet(
    key="cleanups",
    label="Cleanup volumes",
    description="How many rows every cleanup of these days deleted, by kind.",
    permission="cleanup.view_cleanuppolicy",
    columns=(
        Column("began", "Began", Kind.MOMENT),
        Column("policy", "Policy"),
        Column("what", "What was deleted"),
        Column("deleted", "Deleted rows", Kind.INTEGER),
        Column(
            "state", "State", choices=(("running", "Running"), ("done", "Done"), ("partial", "Stopped at its limit"))
        ),
    ),
    rows=rows,
)
