"""Counts the rows of one target and what goes with them, as long as there is time; then estimates, and says so."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, models
from django.db.models import Count, Max, Min, Q, QuerySet

from cleanup import held_rows, holding
from cleanup.findings import SAMPLES, Bucket, Finding, TableCount
from cleanup.models import Archiving, CleanupRun
from cleanup.selection import Selection, order_of
from cleanup.targets import Child, RowFiles, Target
from runs.bounded_queries import TookTooLong, within

_AGES = (
    (7, "a week"),
    (30, "30 days"),
    (90, "90 days"),
    (180, "180 days"),
    (365, "a year"),
    (730, "2 years"),
    (1825, "5 years"),
)
_ROWS_A_SECOND = {"postgresql": 25_000, "sqlite": 30_000}
"""What this machine's like does; once policies have run, their own speed counts."""
_LOOKED_AT = 2000
"""So many rows tell how many files and bytes, and how many children, all of them have."""
_LARGE = 200_000


class Stopwatch:
    """The time that is left for counting; each target gets its share."""

    def __init__(self, seconds: float) -> None:
        self._end = self._until = time.monotonic() + seconds

    def share(self, parts: int) -> None:
        """From now on this target has its part of what is left."""
        self._until = time.monotonic() + max(self._end - time.monotonic(), 0) / max(parts, 1)

    @property
    def until(self) -> float:
        """When the share of this target is over, as time.monotonic() counts."""
        return self._until

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Raises TookTooLong when what is read inside takes longer than there is time."""
        with within(max(self._until - time.monotonic(), 0.05)):
            yield


def find(
    chosen: Selection,
    now: datetime,
    rule: Mapping[str, Any],
    watch: Stopwatch,
    *,
    batch_size: int,
    rest_ms: int,
    in_short: bool,
) -> Finding:
    """What the rule means for one target, counted now."""
    target = chosen.target
    counted = _count(chosen, now, rule["days"], watch, in_short=in_short)
    table_rows = rows_of_table(target.table, watch)
    if in_short:
        return _finding(chosen, counted, table_rows=table_rows)
    rows = chosen.deletable(now)
    tables: tuple[TableCount, ...] = (
        TableCount(target.table._meta.label, target.noun[1], _action(target), counted["count"], counted["is_estimate"]),
    )
    tables += tuple(_children(rows, target.children, (), counted["count"], watch))
    files, size, is_guess = _files(rows, target.files, counted["count"], watch)
    everything = sum(table.rows or 0 for table in tables)
    batches = -(-counted["count"] // max(1, min(batch_size, target.most_per_batch or batch_size)))
    return _finding(
        chosen, counted, table_rows=table_rows, tables=tables, files=files, file_bytes=size,
        samples=_samples(rows, target, watch), hold_words=_hold_words(chosen, now, counted["held"]),
        batches=batches, seconds=round(everything / _speed(target.key, rule["archive"]) + batches * rest_ms / 1000, 1),
        is_estimate=counted["is_estimate"] or is_guess,
    )  # fmt: skip


def _finding(chosen: Selection, counted: dict[str, Any], *, table_rows: int, **more: Any) -> Finding:
    target = chosen.target
    values: dict[str, Any] = {
        "key": target.key, "label": target.label, "table_rows": table_rows, "tables": (), "samples": (), "hold_words": (),
        "files": 0, "file_bytes": 0, "batches": 0, "seconds": 0.0, **counted, **more,
    }  # fmt: skip
    return Finding(**values)


def _count(chosen: Selection, now: datetime, days: int, watch: Stopwatch, *, in_short: bool) -> dict[str, Any]:
    """Rows by age, the oldest and the newest, held ones and those kept as the last of their group."""
    date = chosen.target.date_field
    spans = [] if in_short else _spans(days, now)
    wanted: dict[str, Any] = {"count": Count("pk"), "oldest": Min(date), "newest": Max(date)}
    wanted |= {f"span{number}": Count("pk", filter=span) for number, (_, span) in enumerate(_conditions(date, spans))}
    try:
        with watch.bounded():
            unheld = chosen.unheld(now).aggregate(**wanted)
        facts = unheld
        if chosen.keep_last:
            with watch.bounded():
                facts = chosen.deletable(now).aggregate(**wanted)
        old_enough = unheld["count"]
        if held_rows.biting(chosen.target, now):
            with watch.bounded():
                old_enough = chosen.old_enough().count()
    except TookTooLong:
        return _guessed(chosen, now)
    buckets = tuple(Bucket(label, facts[f"span{number}"]) for number, (label, *_) in enumerate(spans))
    return {
        "count": facts["count"], "held": old_enough - unheld["count"], "kept": unheld["count"] - facts["count"],
        "buckets": tuple(bucket for bucket in buckets if bucket.rows), "oldest": facts["oldest"],
        "newest": facts["newest"], "is_estimate": False,
    }  # fmt: skip


def _guessed(chosen: Selection, now: datetime) -> dict[str, Any]:
    """What the database thinks, without counting; the ends are cheap where an index begins with the date."""
    rows = chosen.unheld(now)
    oldest = newest = None
    if order_of(chosen.target)[0] == chosen.target.date_field:
        try:
            with within(0.3):
                oldest = (
                    rows.order_by(chosen.target.date_field).values_list(chosen.target.date_field, flat=True).first()
                )
        except TookTooLong:
            pass
    return {
        "count": guess(rows),
        "held": 0,
        "kept": 0,
        "buckets": (),
        "oldest": oldest,
        "newest": newest,
        "is_estimate": True,
    }


def guess(rows: QuerySet[Any]) -> int:
    """About how many rows a query has, from the statistics of the database."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            statement, parameters = rows.order_by().values("pk").query.sql_with_params()
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
            (found,) = cursor.fetchone()
        plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
        return int(plan["Plan Rows"])
    try:
        with within(0.5):  # at least so many
            return rows.order_by()[:_LARGE].count()
    except TookTooLong:
        return rows_of_table(rows.model, Stopwatch(0.1))


def rows_of_table(model: type[models.Model], watch: Stopwatch) -> int:
    """How many rows a table has; an estimate where counting would take long."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [connection.ops.quote_name(table)]
            )
            found = cursor.fetchone()
            if found and found[0] >= _LARGE:
                return int(found[0])
        try:
            with watch.bounded():
                return model._default_manager.count()
        except TookTooLong:
            if connection.vendor == "sqlite":
                cursor.execute(f"SELECT max(rowid) FROM {connection.ops.quote_name(table)}")
                found = cursor.fetchone()
            return max(0, int(found[0] or 0)) if found else 0


def _children(
    rows: QuerySet[Any], children: Sequence[Child], above: tuple[str, ...], count: int, watch: Stopwatch
) -> Iterator[TableCount]:
    """What goes with the rows, counted, or by what the oldest of them have."""
    for child in children:
        path = (child.parent_field, *above)
        manager = child.table._default_manager
        number: int | None = None
        is_estimate = False
        try:
            with watch.bounded():
                number = (
                    manager.filter(**{f"{'__'.join(path)}__pk__in": rows.order_by().values("pk")}).count()
                    if count
                    else 0
                )
        except TookTooLong:
            is_estimate = True
            number = _by_sample(rows, manager, "__".join(path), count)
        name = str(child.table._meta.verbose_name_plural)
        yield TableCount(child.table._meta.label, name, child.action, number, is_estimate)
        if child.action == "delete":
            yield from _children(rows, child.children, path, count, watch)


def _by_sample(rows: QuerySet[Any], manager: models.Manager[Any], path: str, count: int) -> int | None:
    try:
        with within(0.3):
            sample = list(rows.order_by("pk").values_list("pk", flat=True)[: _LOOKED_AT // 4])
            return int(manager.filter(**{f"{path}__pk__in": sample}).count() / max(len(sample), 1) * count)
    except TookTooLong:
        return None


def _files(rows: QuerySet[Any], owned: Sequence[RowFiles], count: int, watch: Stopwatch) -> tuple[int, int, bool]:
    """(files, bytes, whether that is an estimate)"""
    files = size = 0
    root = Path(settings.FILES_DIR)
    is_guess = False
    for one in owned:
        try:
            with watch.bounded():
                seen = list(rows.order_by("pk").values_list(*one.fields)[:_LOOKED_AT])
        except TookTooLong:
            return files, size, True
        paths = {root / path for values in seen if (path := one.path(*values))}
        there = [path.stat().st_size for path in paths if path.is_file()]
        share = count / len(seen) if len(seen) == _LOOKED_AT else 1.0
        is_guess = is_guess or share > 1
        files, size = files + int(len(there) * share), size + int(sum(there) * share)
    return files, size, is_guess


def _samples(rows: QuerySet[Any], target: Target, watch: Stopwatch) -> tuple[str, ...]:
    try:
        with watch.bounded():
            oldest = rows.select_related(*target.describe_related).order_by(*order_of(target))[:SAMPLES]
            return tuple(target.describe(row) for row in oldest)
    except TookTooLong:
        return ()


def _hold_words(chosen: Selection, now: datetime, held: int) -> tuple[str, ...]:
    return tuple(holding.in_words(hold) for hold in held_rows.biting(chosen.target, now)[:20]) if held else ()


def _action(target: Target) -> str:
    return "delete" if target.remove is None else "remove"


def _spans(days: int, now: datetime) -> list[tuple[str, datetime | None, datetime | None]]:
    """(label, from, before), oldest first: the spans of age above the policy's own."""
    edges = [(days, f"{days} days"), *((age, name) for age, name in _AGES if age > days)]
    spans: list[tuple[str, datetime | None, datetime | None]] = []
    for number, (age, name) in enumerate(edges):
        before = None if number == 0 else now - timedelta(days=age)
        if number + 1 < len(edges):
            older, next_name = edges[number + 1]
            spans.append((f"{name} to {next_name}", now - timedelta(days=older), before))
        else:
            spans.append((f"over {name}", None, before))
    return spans[::-1]


def _conditions(date: str, spans: Sequence[tuple[str, datetime | None, datetime | None]]) -> Iterator[tuple[str, Q]]:
    for label, start, before in spans:
        span = Q()
        if start is not None:
            span &= Q(**{f"{date}__gte": start})
        if before is not None:
            span &= Q(**{f"{date}__lt": before})
        yield label, span or Q(pk__isnull=False)


def _speed(key: str, archive: str) -> float:
    """Rows of all tables a second: what the latest runs that cleaned this did, else experience."""
    known = [
        (run.total_rows, run.spent_ms)
        for run in CleanupRun.objects.filter(spent_ms__gt=0).order_by("-id")[:20]
        if run.total_rows >= 1000 and key in run.deleted and run.rule.get("archive", Archiving.NONE) == archive
    ]
    if known:
        return max(1.0, sum(rows for rows, _ in known) / max(0.001, sum(ms for _, ms in known) / 1000))
    return _ROWS_A_SECOND[connection.vendor] / (1 if archive == Archiving.NONE else 2)
