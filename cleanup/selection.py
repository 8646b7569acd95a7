"""Which rows of a target a rule means: eligible, narrowed down, unheld, and not among the last of their group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import F, Field, Model, OuterRef, Q, QuerySet, Subquery, UniqueConstraint, Window
from django.db.models.functions import RowNumber

from cleanup import held_rows
from cleanup.targets import AnyTarget, Target

Place = list[Any]
"""Where a batch ended, as JSON: [moment, pk] or [pk]."""


class UnknownFilter(LookupError):
    """A rule narrows a target down by something that the target does not offer."""


@dataclass(frozen=True)
class Selection:
    """The rows of one target that one rule means, at one cutoff."""

    target: Target
    cutoff: datetime
    filters: Mapping[str, str] = field(default_factory=dict)
    keep_last: int = 0

    @classmethod
    def of(cls, target: Target, cutoff: datetime, rule: Mapping[str, Any]) -> Selection:
        """What the rule (as :meth:`CleanupPolicy.rule` writes it) means for the target."""
        keep = max(int(rule.get("keep_last") or 0), target.keep_at_least) if target.group_by else 0
        return cls(target, cutoff, (rule.get("filters") or {}).get(target.key, {}), keep)

    def old_enough(self) -> QuerySet[Any]:
        """Eligible rows that the filters let through, held or not."""
        return self.target.eligible(self.cutoff).filter(narrowed(self.target, self.filters))

    def unheld(self, now: datetime) -> QuerySet[Any]:
        """Those that no hold keeps at ``now``. Inside a batch the holds must be frozen first."""
        rows = self.old_enough()
        held = held_rows.held(self.target, held_rows.biting(self.target, now))
        return rows if held is None else rows.exclude(held)

    def deletable(self, now: datetime) -> QuerySet[Any]:
        """Those that would go: the last of each group are taken off. For counting; batches ask :meth:`kept`."""
        rows = self.unheld(now)
        if not self.keep_last:
            return rows
        newest = self._newest_first().annotate(
            place=Window(
                RowNumber(), partition_by=[F(self._group)], order_by=[F(self.group_order).desc(), F("pk").desc()]
            )
        )
        return rows.filter(pk__in=newest.filter(place__gt=self.keep_last).values("pk"))

    def kept(self, rows: Sequence[tuple[Any, Any, Any]]) -> set[Any]:
        """The primary keys of those (pk, what groups go by, group) that are among the last of their group: one look into it for each
        group that occurs."""
        representatives = {group: pk for pk, _, group in rows}
        members = self._newest_first()
        edges: dict[Any, tuple[Any, Any]] = {}
        for group, edge in self._edges(members, representatives).items():
            if edge is None:  # the group has no more than that: all of it stays
                continue
            edges[group] = (members.model._default_manager.values_list(self.group_order, flat=True).get(pk=edge), edge)
        return {pk for pk, at, group in rows if group not in edges or not (at, pk) < edges[group]}

    def _edges(self, members: QuerySet[Any], representatives: Mapping[Any, Any]) -> dict[Any, Any]:
        """Group → primary key of the last of those that stay. Rows before it in time may go."""
        last = slice(self.keep_last - 1, self.keep_last)
        newest = (f"-{self.group_order}", "-pk")
        own = members.filter(**{self._group: OuterRef(self._group)}).order_by(*newest).values("pk")[last]
        asked = members.model._default_manager.filter(
            pk__in=[pk for group, pk in representatives.items() if group is not None]
        )
        edges = dict(asked.annotate(edge=Subquery(own)).values_list(self._group, "edge"))
        if None in representatives:
            without = members.filter(**{f"{self._group}__isnull": True}).order_by(*newest)
            edges[None] = next(iter(without.values_list("pk", flat=True)[last]), None)
        return edges

    def _newest_first(self) -> QuerySet[Any]:
        """Everything that counts as a member of a group, whatever its age."""
        target = self.target
        own = target.condition if target.group_members is None else target.group_members
        condition = own(self.cutoff) if callable(own) else own
        members: QuerySet[Any] = self.target.table._default_manager.filter(
            condition, narrowed(self.target, self.filters), **{f"{self.group_order}__isnull": False}
        )
        return members

    @property
    def _group(self) -> str:
        assert self.target.group_by is not None
        return self.target.group_by

    @property
    def group_order(self) -> str:
        """What says which of a group are the last."""
        return self.target.group_order or self.target.date_field


def narrowed(target: AnyTarget, chosen: Mapping[str, str]) -> Q:
    """The condition that staff's filters make. Raises UnknownFilter."""
    known = {one.name: one for one in target.filters}
    condition = Q()
    for name, value in chosen.items():
        if name not in known:
            raise UnknownFilter(name)
        condition &= known[name].q(value)
    return condition


def order_of(target: Target) -> tuple[str, ...]:
    """What the batches of the target go by."""
    if target.order is not None:
        return target.order
    return (target.date_field, "pk") if _begins_an_index(target.table, target.date_field) else ("pk",)


def after(target: Target, place: Place | None) -> Q:
    """The rows behind this place, in the order of the batches."""
    if place is None:
        return Q()
    if len(place) == 1:
        return Q(pk__gt=_key(target, place[0]))
    field_ = target.table._meta.get_field(target.date_field)
    assert isinstance(field_, Field)
    at = field_.to_python(place[0])
    # The first condition is the one that an index can begin with; the others decide.
    return Q(**{f"{target.date_field}__gte": at}) & (
        Q(**{f"{target.date_field}__gt": at}) | Q(pk__gt=_key(target, place[1]))
    )


def place_at(target: Target, pk: Any) -> Place | None:
    """The place of a row as it is stored; None when it is gone."""
    if len(order_of(target)) == 1:
        return [str(pk)]
    at = target.table._default_manager.filter(pk=pk).values_list(target.date_field, flat=True).first()
    return None if at is None else [at.isoformat(), str(pk)]


def _key(target: Target, text: str) -> Any:
    return target.table._meta.pk.to_python(text)


def _begins_an_index(model: type[Model], name: str) -> bool:
    if "__" in name:
        return False
    own = model._meta.get_field(name)
    if getattr(own, "db_index", False) or getattr(own, "unique", False):
        return True
    whole = [index.fields for index in model._meta.indexes if index.fields and index.condition is None]
    whole += [
        list(rule.fields)
        for rule in model._meta.constraints
        if isinstance(rule, UniqueConstraint) and rule.fields and rule.condition is None
    ]
    return any(str(fields[0]).lstrip("-") == name for fields in whole)
