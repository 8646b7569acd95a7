"""What holds keep: which of them bite, and the rows and files that stay because of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Exists, OuterRef, Q

from cleanup import table_sql, targets
from cleanup.models import ANY_TARGET, Hold
from cleanup.targets import AnyTarget, Child, Target

_EVERYTHING = Q(pk__isnull=False)


def freeze() -> None:
    """From here to the end of the transaction no hold is set or released. Call it before rows are read in a batch.

    On SQLite the transaction is the only one that writes anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Shared with other batches; whoever inserts or deletes a hold, however they do it, waits.
            cursor.execute(f"LOCK TABLE {table_sql.name_of(Hold)} IN SHARE MODE")


def biting(target: AnyTarget, now: datetime) -> list[Hold]:
    """The holds that may keep rows of the target at ``now``, those on tables of its child plan included."""
    names = {target.key, ANY_TARGET} | {other.key for other, _ in _below(target)}
    return list(Hold.objects.filter(Q(until=None) | Q(until__gt=now), target__in=names).order_by("pk"))


def held(target: Target, holds: Sequence[Hold]) -> Q | None:
    """The rows of the target that these keep: by number, by scope, or because a row that goes with them is held."""
    found = _named(target, holds)
    for other, path in _below(target):
        below = _named(other, holds)
        if below is not None:
            rows = other.table._default_manager.filter(below, **{f"{path}__pk": OuterRef("pk")})
            own: Q = Q(Exists(rows))
            found = own if found is None else found | own
    return found


def is_held(target: AnyTarget, name: str, holds: Sequence[Hold]) -> bool:
    """Whether something that is no row (a file) is held by its name."""
    return any(hold.target == target.key and hold.object_id in ("", name) for hold in holds)


def _named(target: Target, holds: Sequence[Hold]) -> Q | None:
    """The rows of this very table that the holds name."""
    pk = target.table._meta.pk
    numbers, conditions = [], []
    for hold in holds:
        if hold.target not in (target.key, ANY_TARGET):
            continue
        if hold.scope:
            scope = next((one for one in target.scopes if one.name == hold.scope), None)
            if scope is not None:
                conditions.append(scope.q(hold.value))
            elif hold.target != ANY_TARGET:
                # What it went by is known no longer: nobody can say what it keeps, so it keeps everything.
                conditions.append(_EVERYTHING)
        elif not hold.object_id:
            conditions.append(_EVERYTHING)
        else:
            try:
                numbers.append(pk.to_python(hold.object_id))
            except ValidationError:
                continue  # no row has such a number
    if numbers:
        conditions.append(Q(pk__in=numbers))
    found: Q | None = None
    for condition in conditions:
        found = condition if found is None else found | condition
    return found


def _below(target: AnyTarget) -> Iterator[tuple[Target, str]]:
    """(target, path to the parent) of every registered target whose rows are deleted as children of this one."""
    if not isinstance(target, Target):
        return
    others = [one for one in targets.all_targets() if isinstance(one, Target)]
    for child, path in _deleted_children(target.children, ""):
        for other in others:
            if other.model.lower() == child.model.lower():
                yield other, path


def _deleted_children(children: Sequence[Child], above: str) -> Iterator[tuple[Child, str]]:
    for child in children:
        if child.action == "delete":
            path = f"{child.parent_field}__{above}" if above else child.parent_field
            yield child, path
            yield from _deleted_children(child.children, path)
