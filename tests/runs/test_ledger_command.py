"""``manage.py ledger``: the fixed interface that scripts read."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from runs import clock, occurrences

pytestmark = pytest.mark.django_db


def printed(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("ledger", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_it_prints_one_json_object_a_line_with_the_fixed_fields() -> None:
    now = clock.now()
    occurrences.plan_many(
        [
            occurrences.Occurrence(1, "A", "test", now - timedelta(hours=1)),
            occurrences.Occurrence(2, "B", "test", now),
        ],
        now,
    )
    rows = [json.loads(line) for line in printed("--json")]
    assert [row["schedule"] for row in rows] == ["A", "B"]
    assert set(rows[0]) == {
        "schedule", "due_at", "state", "reason", "trigger", "attempt", "published_at", "started_at", "finished_at",
    }  # fmt: skip
    assert len(printed("--json", "--schedule", "B")) == 1
    assert len(printed("--json", "--since", (now - timedelta(minutes=1)).isoformat())) == 1


def test_it_says_what_a_right_time_looks_like() -> None:
    with pytest.raises(CommandError, match="no ISO time"):
        printed("--since", "yesterday")
