"""Whether a cleanup target keeps what it promises. Call :func:`check` in the test of yours.

    def test_old_visits_go(db: None) -> None:
        old, new = Visit.objects.create(at=ago(100)), Visit.objects.create(at=ago(10))
        targets.check("visits", days=90, takes=[old], leaves=[new])

Run your test on both databases (``python -m tests.postgres pytest …``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext

from cleanup import planner, restoring, running
from cleanup.models import CleanupPolicy, CleanupRun
from cleanup.targets import FileTarget, Filter, Scope, Target, get, plans
from runs import clock
from tests.cleanup.conftest import begin, enabled


def ago(days: float) -> datetime:
    """So many days before now."""
    return clock.now() - timedelta(days=days)


def check(key: str, *, days: int, takes: Sequence[Model], leaves: Sequence[Model]) -> CleanupRun:
    """Fails in words where the target does not keep a promise; cleans by a real policy and returns its record.

    Args:
        takes: the rows that a policy of so many days deletes, all there are.
        leaves: rows of any table that must be exactly as they were afterwards.
    """
    target = get(key)
    assert isinstance(target, Target), f"“{key}” is no target of rows"
    _check_words(target)
    assert target.floor_days <= days, "the test asks for less than its floor"
    assert list(plans.missing(target)) == [], "its child plan is not complete"
    _check_eligible(target, planner.cutoff_for(days, clock.now()), takes)
    before = [_values(row) for row in leaves]
    if target.may_archive and takes:
        _check_archive(target, days)
    done = clean(key, days)
    assert done.state == CleanupRun.State.DONE, f"{done.state}: {done.reason}"
    assert not done.poison, done.poison
    assert done.deleted.get(key, 0) == len(takes), done.deleted
    if target.remove is None:
        assert not [row for row in takes if _values(row) is not None], "rows that it takes are still there"
    changed = [(row, was, now) for row, was in zip(leaves, before, strict=True) if (now := _values(row)) != was]
    assert not changed, f"rows that it must leave are not as they were: {changed}"
    again = clean(key, days)
    assert again.total == 0, "a second run finds something"
    return done


def clean(key: str, days: int, **values: Any) -> CleanupRun:
    """Runs a policy over one target, by the real path."""
    if "archive" in values:
        values = {"archive_days": 90, **values}
    policy = enabled(name=f"{key} {CleanupPolicy.objects.count()}", targets=[key], days=days, **values)
    context = begin(policy)
    running.perform(context)
    return CleanupRun.objects.get(run_id=context.id)


def _check_archive(target: Target, days: int) -> None:
    """Cleans with an archive and puts it back: every row of every table is as it was."""
    tables = target.tables()
    before = {table: {row["pk"]: row for row in _rows(table)} for table in tables}
    done = clean(target.key, days, archive="jsonl")
    restored = restoring.restore(None, list(done.parts.all()))
    assert restored and not any(one.problem for one in restored), restored
    for table in tables:
        after = {row["pk"]: row for row in _rows(table)}
        lost = [row for pk, row in before[table].items() if after.get(pk) != row]
        assert not lost, f"{table._meta.label} is not as it was before it was archived and put back: {lost}"


def _rows(table: type[Model]) -> Iterator[dict[str, Any]]:
    return table._default_manager.values(*[field.attname for field in table._meta.concrete_fields], "pk").iterator()


def _check_words(target: Target | FileTarget) -> None:
    assert target.label[0].isupper() and not target.label.endswith("."), "its label is no name"
    for sentence in (target.description, target.promise):
        assert sentence and sentence[0].isupper() and sentence.endswith("."), f"“{sentence}” is no sentence"
    assert target.counted(1).startswith("1 ") and target.counted(1234).startswith("1,234 ")


def _check_eligible(target: Target, cutoff: datetime, takes: Sequence[Model]) -> None:
    found = {row.pk for row in target.eligible(cutoff)}
    assert found == {row.pk for row in takes}, f"it finds {found}"
    narrower: list[Filter | Scope] = [*target.filters, *target.scopes]
    for one in narrower:
        for value, label in one.choices() if one.choices else ():
            pks = list(target.eligible(cutoff).filter(one.q(value)).values_list("pk", flat=True))
            assert label and len(pks) == len(set(pks)), f"“{one.label}” finds a row twice"
    rows = target.eligible(cutoff).select_related(*target.describe_related)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        said = [target.describe(row) for row in rows]
    assert all(said), "it cannot describe a row"
    assert len(captured) <= 1, "it asks the database again for each row that it describes: name describe_related"


def _values(row: Model) -> dict[str, Any] | None:
    """The row as it is stored now; None when it is gone."""
    return type(row)._default_manager.filter(pk=row.pk).values().first()
