"""The two bulk statements do what Django's slower ones do, on either database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from runs import bulk, clock
from runs.models import Heartbeat, Run

pytestmark = pytest.mark.django_db


def test_it_inserts_many_and_leaves_out_what_exists() -> None:
    now = clock.now()
    columns: dict[str, list[Any]] = {
        "schedule_id": [1, 1, 2], "due_at": [now, now, now], "schedule_name": ["a'b", "%s", "Ünï"], "kind": ["x"] * 3,
        "deadline_at": [None, None, now],
    }  # fmt: skip
    for _ in range(2):
        bulk.insert_ignoring(Run, columns, {"created_at": now, "parameters": {"a": [1]}})
    first, second = Run.objects.order_by("schedule_id")
    assert (first.schedule_name, first.due_at, first.deadline_at) == ("a'b", now, None)
    assert (second.schedule_name, second.deadline_at, second.parameters) == ("Ünï", now, {"a": [1]})
    assert (first.state, first.trigger, first.queue, first.exclusive) == ("planned", "schedule", "default", True)


def test_it_updates_each_row_with_its_own_values() -> None:
    now = clock.now()
    rows = [Heartbeat.objects.create(name=f"p{n}", role="beat", started_at=now, seen_at=now) for n in range(3)]
    later = [now + timedelta(seconds=n) for n in range(3)]
    bulk.update_by_id(Heartbeat, [row.pk for row in rows], {"seen_at": later, "name": ["a", "b", "c"]})
    assert list(Heartbeat.objects.order_by("id").values_list("name", "seen_at")) == list(zip("abc", later, strict=True))
    bulk.update_by_id(Heartbeat, [], {"seen_at": []})
