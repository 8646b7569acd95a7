"""Tables made for one test: any number of them, with foreign keys between them, gone when the test ends."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db import connection, models

from cleanup import targets
from cleanup.targets import Target
from cleanup.targets.registry import unregister

APP = "cleanup"
Fields = dict[str, Any]


@contextmanager
def made(tables: Sequence[tuple[str, Callable[[], Fields]]]) -> Iterator[dict[str, type[models.Model]]]:
    """Creates the tables in their order and drops them afterwards; call it outside of transactions.

    Fields may point at tables before them by "cleanup.Name"; they are made when their turn comes.
    """
    models_made: dict[str, type[models.Model]] = {}
    try:
        for name, fields in tables:
            body: dict[str, Any] = {"__module__": __name__, "Meta": type("Meta", (), {"app_label": APP})}
            models_made[name] = type(name, (models.Model,), {**fields(), **body})
        with connection.schema_editor() as editor:
            for model in models_made.values():
                editor.create_model(model)
        yield models_made
    finally:
        for name in models_made:
            apps.all_models[APP].pop(name.lower(), None)
        apps.clear_cache()
        _drop(list(models_made.values())[::-1])


def _drop(tables_made: Sequence[type[models.Model]]) -> None:
    """Whatever a test left in them: the next one must not find them."""
    cascade = " CASCADE" if connection.vendor == "postgresql" else ""
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for model in tables_made:
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(model._meta.db_table)}{cascade}")


@contextmanager
def registered(*registering: Target) -> Iterator[None]:
    """The targets may be cleaned for a while."""
    try:
        for target in registering:
            targets.register(target)
        yield
    finally:
        for target in registering:
            unregister(target.key)


def rows_of(tables: Sequence[type[models.Model]]) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that the tables hold, as the database has it; JSON as text, where its own null is no missing value."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for model in tables:
        names = ", ".join(_read(field) for field in model._meta.concrete_fields)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {names} FROM {connection.ops.quote_name(model._meta.db_table)}")
            found[model._meta.label] = sorted((tuple(map(_plain, row)) for row in cursor.fetchall()), key=repr)
    return found


def _read(field: models.Field[Any, Any]) -> str:
    name = connection.ops.quote_name(str(field.column))
    return f"{name}::text" if isinstance(field, models.JSONField) and connection.vendor == "postgresql" else name


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return str(value) if isinstance(value, uuid.UUID) else value


def family() -> list[tuple[str, Callable[[], Fields]]]:
    """Parents with children, grandchildren, rows that only point at them, and a link among themselves."""
    return [
        (
            "MadeParent",
            lambda: {
                "at": models.DateTimeField(db_index=True),
                "of": models.CharField(max_length=20, default="a"),
                "text": models.TextField(default="It's “quoted” \\ and\nbroken, 😀"),
                "data": models.JSONField(default=dict),
                "amount": models.DecimalField(max_digits=12, decimal_places=4, default="1.5000"),
                "file": models.CharField(max_length=200, default=""),
                "before": models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+"),
            },
        ),
        (
            "MadeChild",
            lambda: {
                "parent": models.ForeignKey(f"{APP}.MadeParent", on_delete=models.CASCADE, related_name="+"),
                "note": models.BinaryField(default=b"\x00\xff{}"),
                "score": models.FloatField(null=True),
            },
        ),
        (
            "MadeGrandchild",
            lambda: {
                "id": models.UUIDField(primary_key=True, default=uuid.uuid4),
                "child": models.ForeignKey(f"{APP}.MadeChild", on_delete=models.CASCADE, related_name="+"),
                "flag": models.BooleanField(default=True),
            },
        ),
        (
            "MadePointer",
            lambda: {
                "parent": models.ForeignKey(
                    f"{APP}.MadeParent", null=True, on_delete=models.SET_NULL, related_name="+"
                ),
            },
        ),
    ]  # fmt: skip


def family_target(**values: Any) -> Target:
    """The target of the family's parents, with its whole plan."""
    plan = (
        targets.Child(f"{APP}.MadeChild", "parent", children=(targets.Child(f"{APP}.MadeGrandchild", "child"),)),
        targets.Child(f"{APP}.MadePointer", "parent", "unlink"),
        targets.Child(f"{APP}.MadeParent", "before", "unlink"),
    )
    known: dict[str, Any] = {
        "key": "made", "label": "Made rows", "noun": ("made row", "made rows"), "model": f"{APP}.MadeParent",
        "date_field": "at", "floor_days": 1, "children": plan, "group_by": "of",
        "scopes": (targets.Scope("of", "All of one kind", lambda value: models.Q(of=value)),),
        "files": (targets.RowFiles(("file",)),),
    }  # fmt: skip
    return Target(**{**known, **values})


def populate(family_models: dict[str, type[models.Model]], count: int, at: Any, first: int = 1, **values: Any) -> None:
    """Parents first, first + 1, … with two children each, whose first has a grandchild; all of that age."""
    parent, child, grand, pointer = family_models.values()
    numbers = range(first, first + count)
    parent._default_manager.bulk_create(
        [parent(pk=n, at=at, data={"n": n, "list": [1.5, None, "ü"]}, **values) for n in numbers]
    )
    if count > 1:
        parent._default_manager.filter(pk=first + 1).update(before=first)
    child._default_manager.bulk_create(
        [child(pk=2 * n + side, parent_id=n, score=n / 3) for n in numbers for side in (0, 1)]
    )
    grand._default_manager.bulk_create([grand(child_id=2 * n) for n in numbers])
    pointer._default_manager.bulk_create([pointer(pk=n, parent_id=n) for n in numbers])
