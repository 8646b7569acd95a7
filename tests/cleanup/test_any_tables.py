"""Any tables, any policy: what is deleted is what was previewed less what was changed or held since, and nothing else.

``CLEANUP_EXAMPLES=1000`` tries as many; few of them run every time.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, models
from django.db.models import Q, Value
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from cleanup import holding, planner, restoring, running
from cleanup.findings import Finding
from cleanup.models import CleanupPolicy, CleanupRun, Hold
from cleanup.targets import Child, Scope, Target
from runs import clock
from tests.cleanup import tables
from tests.cleanup.conftest import begin, enabled

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = int(os.environ.get("CLEANUP_EXAMPLES", "8"))
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if "CLEANUP_EXAMPLES" in os.environ else [])]
"""Making a failure smaller takes minutes: only for whoever asked for many examples."""
CUTOFF_DAYS = 30
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)


@dataclass
class Table:
    """A table below the root, or beside another one below it."""

    parent: int
    """The number of the table that its rows point at."""
    deletes: bool
    """Deleted with its parent, or only unlinked."""
    key: str
    by_code: bool
    """Points at its parent's unique code instead of its primary key."""
    rows: list[tuple[int | None, Any]] = field(default_factory=list)
    """(which row of the parent, a value)"""


@dataclass
class Case:
    """A schema, what is in it, a policy and what happens between preview and run."""

    root_key: str
    is_indexed: bool
    roots: list[tuple[int, bool, str | None, Any, int | None]]
    """(age in days, meets the condition, group, value, which other root it points at)"""
    below: list[Table]
    keep_last: int | None
    batch_size: int
    max_rows: int | None
    archive: str
    touched: set[int]
    held: set[int]
    held_since: set[int]
    held_group: str | None


_VALUES = st.one_of(_TEXT, st.floats(allow_nan=False, allow_infinity=False), st.binary(max_size=5), st.integers(-9, 9))


@st.composite
def cases(draw: Any) -> Case:
    count = draw(st.integers(2, 14) | st.just(0))
    which = st.integers(0, max(count - 1, 0))
    one = st.tuples(
        st.sampled_from((40, 31, 500, 90, 29, 10)), st.sampled_from((True, True, True, False)), st.sampled_from(("a", "b", None)), _VALUES,
        st.none() | which,
    )  # fmt: skip
    roots = draw(st.lists(one, min_size=count, max_size=count))
    below: list[Table] = []
    sizes = [count]
    for _ in range(draw(st.integers(0, 4))):
        deletable = [0, *(n + 1 for n, table in enumerate(below) if table.deletes)]
        parent = draw(st.sampled_from(deletable))
        deletes = draw(st.booleans() | st.just(True))
        rows = st.tuples(
            st.integers(0, max(sizes[parent] - 1, 0))
            if deletes
            else st.none() | st.integers(0, max(sizes[parent] - 1, 0)),
            _VALUES,
        )
        made = draw(st.lists(rows, max_size=10)) if sizes[parent] else []
        below.append(Table(parent, deletes, draw(st.sampled_from(("auto", "uuid", "text"))), draw(st.booleans()), made))
        sizes.append(len(made))
    some = st.sets(which, max_size=3) if count else st.just(set())
    return Case(
        root_key=draw(st.sampled_from(("auto", "uuid", "text"))), is_indexed=draw(st.booleans()), roots=roots, below=below,
        keep_last=draw(st.none() | st.integers(1, 4)), batch_size=draw(st.integers(1, 6)),
        max_rows=draw(st.none() | st.integers(1, 10)), archive=draw(st.sampled_from(("none", "jsonl", "parquet"))),
        touched=draw(some), held=draw(some), held_since=draw(some), held_group=draw(st.none() | st.just("b")),
    )  # fmt: skip


_KEYS: dict[str, Callable[[], models.Field[Any, Any]]] = {
    "auto": lambda: models.BigAutoField(primary_key=True),
    "uuid": lambda: models.UUIDField(primary_key=True, default=uuid.uuid4),
    "text": lambda: models.CharField(primary_key=True, max_length=60, default=lambda: f"k'%s-{uuid.uuid4()}"),
}


def values() -> dict[str, Any]:
    """A column of each kind."""
    return {
        "code": models.CharField(max_length=40, unique=True, default=lambda: f"c{uuid.uuid4()}"[:40]),
        "text": models.TextField(null=True), "number": models.FloatField(null=True), "raw": models.BinaryField(null=True),
        "amount": models.DecimalField(max_digits=20, decimal_places=6, null=True), "data": models.JSONField(null=True),
        "day": models.DateField(null=True),
    }  # fmt: skip


def filled(value: Any) -> dict[str, Any]:
    """The value in whichever column takes it."""
    if isinstance(value, str):
        return {"text": value, "data": {value: [value, None, True]}}
    if isinstance(value, float):
        return {"number": value, "amount": Decimal(str(round(value % 1000, 6)))}
    if isinstance(value, bytes):
        return {"raw": value}
    # JSON's own null is a value; none at all is what the other columns have.
    data = value or Value(None, models.JSONField())
    return {"amount": Decimal(value), "data": data, "day": datetime(2026, 1, 10 + value).date()}


def schema(case: Case) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    def root() -> dict[str, Any]:
        other = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
        at = models.DateTimeField(db_index=case.is_indexed)
        group = models.CharField(max_length=5, null=True)
        return {
            "id": _KEYS[case.root_key](),
            "at": at,
            "is_ripe": models.BooleanField(),
            "group": group,
            "other": other,
            **values(),
        }

    def below(table: Table) -> Callable[[], dict[str, Any]]:
        def fields() -> dict[str, Any]:
            parent = models.ForeignKey(
                f"cleanup.Made{table.parent}", null=not table.deletes, related_name="+",
                on_delete=models.CASCADE if table.deletes else models.SET_NULL, to_field="code" if table.by_code else None,
            )  # fmt: skip
            return {"id": _KEYS[table.key](), "parent": parent, **values()}

        return fields

    return [("Made0", root), *((f"Made{number}", below(table)) for number, table in enumerate(case.below, 1))]


def plan(case: Case, parent: int) -> tuple[Child, ...]:
    return tuple(
        Child(
            f"cleanup.Made{n}",
            "parent",
            "delete" if table.deletes else "unlink",
            plan(case, n) if table.deletes else (),
        )
        for n, table in enumerate(case.below, 1)
        if table.parent == parent
    )


def fill(case: Case, made: dict[str, Any], now: datetime) -> list[list[Any]]:
    """Every row, table by table, in the order of the case."""
    roots = [
        made["Made0"].objects.create(
            at=now - timedelta(days=age, seconds=n), is_ripe=is_ripe, group=group, **filled(value)
        )
        for n, (age, is_ripe, group, value, _) in enumerate(case.roots)
    ]
    for row, (*_, other) in zip(roots, case.roots, strict=True):
        made["Made0"].objects.filter(pk=row.pk).update(other=None if other is None else roots[other])
    rows = [roots]
    for number, table in enumerate(case.below, 1):
        above = rows[table.parent]
        rows.append([
            made[f"Made{number}"].objects.create(parent=None if which is None else above[which], **filled(value))
            for which, value in table.rows
        ])  # fmt: skip
    return rows


def expected(case: Case, *, held: set[int], touched: set[int]) -> list[int]:
    """The numbers of the roots that may go, oldest first, by a reading of the rule in plain Python."""

    def age(n: int) -> tuple[int, int]:
        return (0, n) if n in touched else (case.roots[n][0], n)

    members: dict[str | None, list[int]] = {}
    for n, (_, is_ripe, group, _, _) in enumerate(case.roots):
        if is_ripe:
            members.setdefault(group, []).append(n)
    kept = {n for ns in members.values() for n in sorted(ns, key=age)[: case.keep_last or 0]}
    return [
        n for n, (_, is_ripe, group, _, _) in sorted(enumerate(case.roots), key=lambda one: age(one[0]), reverse=True)
        if is_ripe and age(n)[0] > CUTOFF_DAYS and n not in kept and n not in held
        and not (case.held_group is not None and group == case.held_group)
    ]  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(case=cases())
def test_what_goes_is_what_was_previewed(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    from django.test import override_settings

    folder = tmp_path_factory.getbasetemp() / "any-tables"
    with override_settings(FILES_DIR=folder), tables.made(schema(case)) as made:
        target = Target(
            key="any", label="Any rows", noun=("row", "rows"), model="cleanup.Made0", date_field="at", floor_days=1,
            condition=Q(is_ripe=True), children=(*plan(case, 0), Child("cleanup.Made0", "other", "unlink")), group_by="group",
            scopes=(Scope("group", "A group", lambda value: Q(group=value)),),
        )  # fmt: skip
        with tables.registered(target):
            _check(case, made, folder)


def _check(case: Case, made: dict[str, Any], folder: Path) -> None:
    CleanupPolicy.objects.all().delete()
    Hold.objects.all().delete()
    now = clock.now()
    rows = fill(case, made, now)
    policy = enabled(
        name="Any", targets=["any"], days=CUTOFF_DAYS, keep_last=case.keep_last, batch_size=case.batch_size,
        max_rows=case.max_rows, archive=case.archive,
    )  # fmt: skip
    for n in case.held:
        holding.add_hold(None, target="any", object_id=str(rows[0][n].pk), reason="x")
    if case.held_group is not None:
        holding.add_hold(None, target="any", scope="group", value=case.held_group, reason="x")
    (finding,) = planner.preview(policy, now, seconds=60).findings
    assert finding.count == len(expected(case, held=case.held, touched=set()))
    assert sum(bucket.rows for bucket in finding.buckets) == finding.count
    _check_counts(case, finding, set(expected(case, held=case.held, touched=set())))
    for n in case.touched:
        made["Made0"].objects.filter(pk=rows[0][n].pk).update(at=now - timedelta(seconds=n))
    for n in case.held_since:
        holding.add_hold(None, target="any", object_id=str(rows[0][n].pk), reason="x")
    going = expected(case, held=case.held | case.held_since, touched=case.touched)
    before = tables.rows_of(list(made.values()))

    context = begin(policy)
    running.perform(context)

    done = CleanupRun.objects.get(run_id=context.id)
    gone = {n for n, row in enumerate(rows[0]) if not made["Made0"].objects.filter(pk=row.pk).exists()}
    event(f"{'some' if gone else 'none'} gone, archive {case.archive}")
    assert not done.poison and len(gone) == done.total == min(len(going), case.max_rows or len(going))
    assert gone <= set(going)
    if case.max_rows is None or case.is_indexed:
        assert gone == set(going[: len(gone)])  # the oldest first
    _check_below(case, made, rows, gone)
    connection.check_constraints()
    assert done.backlog == len(going) - len(gone)
    if case.max_rows is None:
        context = begin(policy)
        assert running.perform(context).startswith("Nothing was ")
    if case.archive != "none":
        problems = [one.problem for one in restoring.restore(None, list(done.parts.all())) if one.problem]
        assert not problems and tables.rows_of(list(made.values())) == before


def _check_below(case: Case, made: dict[str, Any], rows: list[list[Any]], gone: set[int]) -> None:
    """Rows below deleted ones are deleted or unlinked, all others are as they were."""
    gone_of = [gone]
    for number, table in enumerate(case.below, 1):
        mine: set[int] = set()
        for n, (which, _) in enumerate(table.rows):
            stored = made[f"Made{number}"].objects.filter(pk=rows[number][n].pk).first()
            lost_its_parent = which is not None and which in gone_of[table.parent]
            assert (stored is None) == (lost_its_parent and table.deletes)
            if stored is None:
                mine.add(n)
            elif which is not None:
                assert (stored.parent_id is None) == lost_its_parent
        gone_of.append(mine)
    for n, (*_, other) in enumerate(case.roots):
        stored = made["Made0"].objects.filter(pk=rows[0][n].pk).first()
        if stored is not None:
            assert (stored.other_id is None) == (other is None or other in gone)


def _check_counts(case: Case, finding: Finding, going: set[int]) -> None:
    """The preview says of each table below how many rows go, or are unlinked."""
    gone_of = [going]
    for table in case.below:
        gone_of.append(
            {n for n, (which, _) in enumerate(table.rows) if which is not None and which in gone_of[table.parent]}
        )
        label = f"cleanup.Made{len(gone_of) - 1}"
        assert next(one.rows for one in finding.tables if one.label == label) == len(gone_of[-1])
