"""Proves that a child plan leaves nothing out: every foreign key that points at a deleted row is named in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks
from django.db.models import ForeignKey, Model

from cleanup.targets.registry import Child, IncompletePlan, Target, all_targets


def require_complete(target: Target) -> None:
    """Raises IncompletePlan with every gap in words."""
    gaps = list(missing(target))
    if gaps:
        raise IncompletePlan(f"The cleanup target “{target.key}” is not complete: {' '.join(gaps)}")


def missing(target: Target) -> Iterator[str]:
    """What is wrong with the plan of the target, in words; nothing when it is complete."""
    try:
        model = target.table
    except LookupError:
        yield f"there is no model {target.model}."
        return
    if target.remove is None:  # a target with its own removal looks after its children itself
        yield from _gaps(model, target.children)


def _gaps(model: type[Model], children: Sequence[Child]) -> Iterator[str]:
    if model._meta.parents:
        yield f"{model._meta.label} keeps part of its row in another table (inherited), which no plan can delete."
    named = {(child.model.lower(), child.parent_field) for child in children}
    pointing = {(key.model._meta.label_lower, key.name): key for key in pointing_at(model)}
    for place, key in pointing.items():
        if place not in named:
            yield f"{key.model._meta.label}.{key.name} points at {model._meta.label} and is named nowhere."
    for child in children:
        place = (child.model.lower(), child.parent_field)
        if place not in pointing:
            yield f"{child.model}.{child.parent_field} is no foreign key to {model._meta.label}."
        elif child.action == "unlink":
            if not pointing[place].null:
                yield f"{child.model}.{child.parent_field} cannot be emptied: delete its rows instead."
            if child.children:
                yield f"{child.model} is only unlinked: its own children stay, and need no plan."
        else:
            yield from _gaps(pointing[place].model, child.children)


def pointing_at(model: type[Model]) -> list[ForeignKey[Any, Any]]:
    """The foreign keys of all tables that point at rows of this model, many-to-many tables included."""
    found: list[ForeignKey[Any, Any]] = []
    for other in apps.get_models(include_auto_created=True):
        if other._meta.proxy or not other._meta.managed:
            continue
        for key in other._meta.local_fields:
            if (
                isinstance(key, ForeignKey)
                and key.remote_field.model._meta.concrete_model is model._meta.concrete_model
            ):
                found.append(key)
    return found


@checks.register("cleanup")
def check_plans(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """A plan that a later migration made incomplete is an error at start, not at three in the morning."""
    problems: list[checks.CheckMessage] = []
    for target in all_targets():
        if isinstance(target, Target):
            problems += [
                checks.Error(f"Cleanup target “{target.key}”: {gap}", id="cleanup.E001") for gap in missing(target)
            ]
    return problems
