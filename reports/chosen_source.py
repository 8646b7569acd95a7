"""What a report lists, as one choice among data sets and approved SQL, and who may choose it."""

from __future__ import annotations

from typing import Any

from reports.datasets import registry
from reports.datasets.registry import DataSet
from reports.models import ReportQuery
from reports.queries import parameters
from reports.queries.parameters import Parameter
from runs.audit import Actor
from runs.row_numbers import row_number

QUERY_PERMISSION = "reports.view_reportquery"
_QUERY = "query:"


def key_of(data_set: str, query_id: int | None) -> str:
    """ "deliveries_per_day", "query:3": how forms name the choice."""
    return f"{_QUERY}{query_id}" if query_id is not None else data_set


def parts(key: str) -> tuple[str, int | None]:
    """The data set or the number of the query that a form named."""
    if key.startswith(_QUERY):
        return "", row_number(key.removeprefix(_QUERY))
    return key, None


def data_set_of(key: str) -> DataSet | None:
    """The data set of a choice; None for a query, and for one that is gone."""
    try:
        return registry.get(key)
    except registry.UnknownDataSet:
        return None


def query_of(key: str) -> ReportQuery | None:
    """The approved query of a choice; None for a data set, and for one that nobody approved yet."""
    number = parts(key)[1]
    return None if number is None else _approved().filter(pk=number).first()


def parameters_of(query: ReportQuery) -> list[Parameter]:
    """What a report of the query is asked for; its days fill in the rest."""
    return [one for one in parameters.read(query.approved_parameters) if not one.kind.is_of_period]


def offered(actor: Actor, chosen: str = "") -> list[tuple[str, Any]]:
    """What this person may choose; also what is chosen already, so that the form can say what became of it."""
    data_sets: list[tuple[str, Any]] = [(one.key, one.label) for one in registry.all_of_them() if may_see(actor, one)]
    may_query = actor is None or _has(actor, QUERY_PERMISSION)
    queries = [(f"{_QUERY}{pk}", name) for pk, name in _approved().values_list("pk", "name")] if may_query else []
    groups: list[tuple[str, Any]] = [("Approved SQL queries", queries)] if queries else []
    known = {key for key, _ in (*data_sets, *queries)}
    if chosen and chosen not in known:
        data_sets.append((chosen, label(chosen)))
    return [("", "Choose what to list…"), *data_sets, *groups]


def label(key: str) -> str:
    """What staff read of a choice."""
    data_set, query = data_set_of(key), query_of(key)
    if data_set is not None:
        return data_set.label
    return query.name if query is not None else "No longer available"


def may_see(actor: Actor, data_set: DataSet) -> bool:
    """Whether this person may see the rows; the system may."""
    return actor is None or not data_set.permission or _has(actor, data_set.permission)


def why_not(actor: Actor, key: str, *, is_owner: bool = False) -> str:
    """Why this person may not see the rows, in words; empty when they may."""
    data_set = data_set_of(key)
    if data_set is not None and not may_see(actor, data_set):
        who = f"“{actor}”, who answers for this report, may" if is_owner else "You may"
        remedy = "Choose another owner." if is_owner else "An administrator can give you the permission."
        return f"{who} not see what “{data_set.label}” lists. {remedy}"
    if data_set is None and not is_owner and parts(key)[1] and actor is not None and not _has(actor, QUERY_PERMISSION):
        return "You may not see what SQL queries list. An administrator can give you the permission."
    return ""


def _approved() -> Any:
    return ReportQuery.objects.exclude(approved_sha256="").order_by("name")


def _has(actor: Any, permission: str) -> bool:
    return bool(actor.is_active and actor.has_perm(permission))
