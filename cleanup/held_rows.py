"""What holds keep: which of them bite, and the rows and files that stay because of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Exists, OuterRef, Q

from cleanup import table_sql, targets
from cleanup.models import ANY_TARGET, Hold
from cleanup.targets import AnyTarget, Child, Target, Touched
from runs import clock

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
    others = [*(other for other, _ in (*_below(target), *_touched(target))), *_alike(target)]
    names = {target.key, ANY_TARGET, *(other.key for other in others)}
    by_link = ~Q(scope="") & Q(target__in={other.key for other, _ in _unlinked(target)})
    lasting = Hold.objects.filter(Q(until=None) | Q(until__gt=now))
    return list(lasting.filter(Q(target__in=names) | by_link).order_by("pk"))


def held(target: Target, holds: Sequence[Hold]) -> Q | None:
    """The rows of the target that these keep: by number, by scope, or because a row that goes with them is held.

    So does a held row that only loses its link to them, where the hold finds it by that link; a row that the target's own
    removal would change elsewhere; and the very same row, held as something else.
    """
    values = _values(holds)
    conditions = [_named(target, holds, values)]
    conditions += [_named(other, holds, values, _whole_kind(other)) for other in _alike(target)]
    for other, path in _below(target):
        conditions.append(_above(other, path, _named(other, holds, values)))
    for other, path in _unlinked(target):
        found_by_it = [hold for hold in holds if hold.scope and _goes_through(other, hold, path)]
        conditions.append(_above(other, path, _named(other, found_by_it, values)))
    for other, touched in _touched(target):
        named = _named(other, holds, values, _whole_kind(other) if touched.by_kind else _EVERYTHING)
        if named is not None:
            conditions.append(touched.stays(other.table._default_manager.filter(named)))
    return _either(conditions)


def is_held(target: AnyTarget, name: str, holds: Sequence[Hold]) -> bool:
    """Whether something that is no row (a file) is held by its path, or as older holds say by its name alone."""
    names = ("", name, name.rpartition("/")[2])
    return any(hold.target == target.key and hold.object_id in names for hold in holds)


def _values(holds: Sequence[Hold]) -> dict[int, set[str]]:
    """By which values each hold finds its rows: what it means may be called otherwise by now."""
    found = {hold.pk: {hold.value} for hold in holds}
    scopes = {scope.name: scope for target in targets.all_targets() for scope in target.scopes if scope.known_as}
    for name, scope in scopes.items():
        meant = {hold.pk: hold.meant_id for hold in holds if hold.scope == name and hold.meant_id is not None}
        known = scope.known_as(set(meant.values())) if scope.known_as and meant else {}
        for pk, number in meant.items():
            found[pk] |= set(known.get(number, ()))
    return found


def _either(conditions: Iterable[Q | None]) -> Q | None:
    said = [condition for condition in conditions if condition is not None]
    return reduce(or_, said) if said else None


def _above(other: Target, path: str, named: Q | None) -> Q | None:
    """The rows to which the path leads from those of the other target."""
    if named is None:
        return None
    return Q(Exists(other.table._default_manager.filter(named, **{f"{path}__pk": OuterRef("pk")})))


def _goes_through(other: Target, hold: Hold, path: str) -> bool:
    """Whether the hold would find rows of the other target no more once the first link of the path is empty."""
    if hold.target not in (other.key, ANY_TARGET):
        return False
    scope = next((one for one in other.scopes if one.name == hold.scope), None)
    if scope is None:
        return hold.target != ANY_TARGET  # nobody can say what it goes by
    link = path.partition("__")[0]
    return any(name.partition("__")[0] == link for name in _leaves(scope.q(hold.value)))


def _leaves(condition: Q) -> Iterator[str]:
    """The fields, with what they lead to, that a condition asks about."""
    for one in condition.children:
        if isinstance(one, Q):
            yield from _leaves(one)
        elif isinstance(one, tuple):
            yield one[0]


def _whole_kind(target: Target) -> Q:
    """What the target takes at some age: what staff mean by all of them, where its table has rows of other kinds."""
    return Q(pk__in=target.eligible(clock.now()).order_by().values("pk"))


def _named(
    target: Target, holds: Sequence[Hold], values: Mapping[int, Collection[str]], everything: Q = _EVERYTHING
) -> Q | None:
    """The rows of this very table that the holds name; ``everything`` is what a hold on all of the target means."""
    pk = target.table._meta.pk
    numbers: list[Any] = []
    conditions: list[Q] = []
    for hold in holds:
        if hold.target not in (target.key, ANY_TARGET):
            continue
        if hold.scope:
            scope = next((one for one in target.scopes if one.name == hold.scope), None)
            if scope is not None:
                conditions += [scope.q(value) for value in sorted(values[hold.pk])]
            elif hold.target != ANY_TARGET:
                # What it went by is known no longer: nobody can say what it keeps, so it keeps everything.
                conditions.append(_EVERYTHING)
        elif not hold.object_id:
            conditions.append(everything)
        else:
            try:
                numbers.append(pk.to_python(hold.object_id))
            except ValidationError:
                continue  # no row has such a number
    if numbers:
        conditions.append(Q(pk__in=numbers))
    return _either(conditions)


def _below(target: AnyTarget) -> Iterator[tuple[Target, str]]:
    """(target, path to the parent) of every registered target whose rows are deleted as children of this one."""
    return _pointing(target, "delete")


def _unlinked(target: AnyTarget) -> Iterator[tuple[Target, str]]:
    """(target, path to the parent) of every registered target whose rows lose a link when rows of this one go."""
    return _pointing(target, "unlink")


def _touched(target: AnyTarget) -> Iterator[tuple[Target, Touched]]:
    """Every registered target of whose rows the removal of this one changes some, and how those hang together."""
    if not isinstance(target, Target):
        return
    for touched in target.touches:
        for other in _of_model(touched.model):
            yield other, touched


def _alike(target: AnyTarget) -> list[Target]:
    """The other targets that take rows of the same table."""
    return [one for one in _of_model(target.model) if one.key != target.key] if isinstance(target, Target) else []


def _of_model(model: str) -> list[Target]:
    every = (one for one in targets.all_targets() if isinstance(one, Target))
    return [one for one in every if one.model.lower() == model.lower()]


def _pointing(target: AnyTarget, action: str) -> Iterator[tuple[Target, str]]:
    if not isinstance(target, Target):
        return
    for child, path in _children(target.children, ""):
        if child.action == action:
            for other in _of_model(child.model):
                yield other, path


def _children(children: Sequence[Child], above: str) -> Iterator[tuple[Child, str]]:
    for child in children:
        path = f"{child.parent_field}__{above}" if above else child.parent_field
        yield child, path
        if child.action == "delete":
            yield from _children(child.children, path)
