"""Everything that is done with a query: written, tried, handed in, approved or refused by somebody else, deleted.

Each function checks the permission, works in one transaction, and writes an audit entry with the whole text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from reports.datasets.registry import Row
from reports.models import ReportQuery
from reports.periods import Window
from reports.queries import approval, parameters, sandbox
from reports.queries.drafts import QueryDraft, problem_with_sql, validate
from reports.queries.fingerprints import fingerprint
from reports.queries.sandbox import Column, Limits, Query, SandboxError
from runs import audit, clock
from runs.audit import Actor

ADD, CHANGE, DELETE = (f"reports.{verb}_reportquery" for verb in ("add", "change", "delete"))
ROWS_TRIED = 50
_State = ReportQuery.State


@dataclass(frozen=True)
class Tried:
    """The first rows of a query, and how long the database took."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    has_more: bool
    seconds: float


def may_try(actor: Any) -> bool:
    """Whether somebody may run a text that nobody approved yet: whoever writes queries, and whoever approves them."""
    return any(actor.has_perm(permission) for permission in (ADD, CHANGE, approval.APPROVE))


def save_query(actor: Actor, draft: QueryDraft, query_id: int | None = None, *, seen: str = "") -> ReportQuery:
    """Adds a query, or changes one. What was approved before goes on being run until the new text is approved.

    ``seen`` is the fingerprint of the text that was changed: where somebody else changed it meanwhile, nothing is lost.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not.
    """
    query = ReportQuery() if query_id is None else ReportQuery.objects.get(pk=query_id)
    verb, permission = ("add", ADD) if query_id is None else ("change", CHANGE)
    audit.require(actor, permission, f"{verb} the SQL query", query if query.pk else None)
    validate(draft, query if query.pk else None)
    with transaction.atomic():
        if query.pk:
            query = ReportQuery.objects.select_for_update().get(pk=query.pk)
            _require_seen(query, seen)
        before = _facts(query) if query.pk else {}
        is_new_text = not query.pk or approval.current(query) != fingerprint(
            draft.sql, draft.column_values()["parameters"]
        )
        for name, value in draft.column_values().items():
            setattr(query, name, value)
        if is_new_text:
            query.author_id = actor.pk if actor is not None else None
            query.note = ""
            query.state = _State.APPROVED if approval.current(query) == query.approved_sha256 else _State.DRAFT
        query.save()
        after = _facts(query)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        if changed:
            words = "changed the SQL query" if before else "added the SQL query"
            old = {name: before[name] for name in changed if name in before}
            audit.record(actor, words, query, before=old, after=changed)
    return query


def try_query(
    actor: Actor, sql: str, declared: tuple[parameters.Parameter, ...], values: Mapping[str, Any], window: Window,
    query: ReportQuery | None = None,
) -> Tried:  # fmt: skip
    """Runs a text in the sandbox, approved or not, and gives its first rows.

    Raises:
        ValidationError: it cannot be run, in words.
        PermissionDenied: the actor neither writes nor approves queries.
    """
    if actor is not None and not may_try(actor):
        audit.require(actor, CHANGE, "try the SQL query", query)
    if wrong := problem_with_sql(sql, declared):
        raise ValidationError(wrong)
    bound = _bound(declared, values, window)
    said = {"sql": sql, "values": {name: str(value)[:200] for name, value in bound.items()}}
    audit.record(actor, "tried the SQL query", query, after=said)
    started = time.perf_counter()
    try:
        reading = sandbox.begin(Query(sql, bound, window.zone), Limits.of_a_try())
        try:
            rows = reading.rows()
            shown = tuple(islice(rows, ROWS_TRIED))
            has_more = next(rows, None) is not None
        finally:
            reading.close()
    except SandboxError as error:
        raise ValidationError(str(error)) from error
    return Tried(tuple(reading.columns), shown, has_more, time.perf_counter() - started)


def ask_for_approval(actor: Actor, query_id: int) -> tuple[ReportQuery, int]:
    """Hands the text in; returns the query, and how many people were told.

    Raises:
        ValidationError: it is not a draft, or the database cannot read it.
        PermissionDenied: the actor may not change it.
    """
    query = ReportQuery.objects.get(pk=query_id)
    audit.require(actor, CHANGE, "ask for approval of the SQL query", query)
    declared = parameters.read(query.parameters)
    if not sandbox.why_not():  # where nothing can be run yet, the page says so, and the text is judged by people alone
        try:
            sandbox.check(Query(query.sql, parameters.examples(declared)))
        except SandboxError as error:
            raise ValidationError(str(error)) from error
    with transaction.atomic():
        query = ReportQuery.objects.select_for_update().get(pk=query_id)
        if query.state not in (_State.DRAFT, _State.REFUSED):
            raise ValidationError("It was handed in already, or is approved as it stands.")
        query.state, query.note = _State.WAITING, ""
        query.save(update_fields=["state", "note", "changed_at"])
        audit.record(actor, "asked for approval of the SQL query", query, after=_text(query))
        told = approval.ask(query)
    return query, told


def approve_query(actor: Actor, query_id: int, seen: str, note: str = "") -> ReportQuery:
    """Lets reports run the text with the fingerprint ``seen``.

    Raises:
        ValidationError: the actor wrote it, or it is another text by now.
        PermissionDenied: the actor may not approve.
    """
    with transaction.atomic():
        query, before = _to_decide(actor, query_id, seen, "approve the SQL query")
        query.approved_sql, query.approved_parameters = query.sql, query.parameters
        query.approved_sha256, query.approved_at = approval.current(query), clock.now()
        query.approved_by_id = actor.pk if actor is not None else None
        query.state, query.note = _State.APPROVED, note[:300]
        query.save()
        audit.record(actor, "approved the SQL query", query, before=before, after=_text(query), reason=note)
        approval.answer(query, f"Your SQL query “{query}” is approved. Reports can list it from now on.")
    return query


def refuse_query(actor: Actor, query_id: int, seen: str, note: str) -> ReportQuery:
    """Sends the text back with words for its writer. What was approved before goes on being run.

    Raises:
        ValidationError: no words, or another text by now.
        PermissionDenied: the actor may not approve.
    """
    if not note.strip():
        raise ValidationError({"note": "Write what is to be changed."})
    with transaction.atomic():
        query, before = _to_decide(actor, query_id, seen, "refuse the SQL query")
        query.state, query.note = _State.REFUSED, note.strip()[:300]
        query.save(update_fields=["state", "note", "changed_at"])
        audit.record(actor, "refused the SQL query", query, before=before, after=_text(query), reason=note)
        approval.answer(query, f"Your SQL query “{query}” is not approved: {query.note}"[:300])
    return query


def delete_query(actor: Actor, query_id: int) -> None:
    """Removes a query that no report lists.

    Raises:
        ValidationError: reports list it.
        PermissionDenied: the actor may not.
    """
    query = ReportQuery.objects.get(pk=query_id)
    audit.require(actor, DELETE, "delete the SQL query", query)
    with transaction.atomic():
        if users := list(query.definitions.order_by("name").values_list("name", flat=True)[:5]):
            listed = ", ".join(f"“{name}”" for name in users)
            raise ValidationError(f"{listed} would have nothing to list. Change or delete the reports first.")
        audit.record(actor, "deleted the SQL query", query, before=_facts(query))
        query.delete()


def _to_decide(actor: Actor, query_id: int, seen: str, action: str) -> tuple[ReportQuery, dict[str, Any]]:
    """The locked row, and what is approved now; refuses in words what may not be decided by this actor, or at all."""
    query = ReportQuery.objects.select_for_update().get(pk=query_id)
    audit.require(actor, approval.APPROVE, action, query)
    why = approval.why_not(query, actor) if actor is not None else ""  # type: ignore[arg-type]
    if why:
        raise ValidationError(why)
    if query.state != _State.WAITING:
        raise ValidationError("It does not wait for approval any more.")
    if approval.current(query) != seen:
        raise ValidationError("The text was changed since you looked at it. Look at it once more.")
    approved = {"sql": query.approved_sql, "parameters": query.approved_parameters, "sha256": query.approved_sha256}
    return query, approved if query.approved_sha256 else {}


def _require_seen(query: ReportQuery, seen: str) -> None:
    if seen and approval.current(query) != seen:
        who = f" by {query.author}" if query.author else ""
        raise ValidationError(
            {
                "sql": f"The text was changed{who} while you were writing. What you typed is below; save again to replace theirs."
            }
        )


def _bound(
    declared: tuple[parameters.Parameter, ...], values: Mapping[str, Any], window: Window
) -> dict[str, parameters.Value]:
    try:
        return parameters.bound(declared, values, window)
    except parameters.NoValue as error:
        raise ValidationError(f"“{error}” needs a value. Write one to try it with.") from error
    except parameters.BadValue as error:
        raise ValidationError(str(error)) from error


def _text(query: ReportQuery) -> dict[str, Any]:
    return {"sql": query.sql, "parameters": query.parameters, "sha256": approval.current(query)}


def _facts(query: ReportQuery) -> dict[str, Any]:
    return {"name": query.name, "description": query.description, **_text(query)}
