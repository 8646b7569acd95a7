"""The page on which a query is written, tried and decided. Every button works without scripts, by sending the whole form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods

from reports.models import ReportQuery
from reports.queries import approval, diffs, forms, page_words, parameters, readable, sandbox, services
from reports.queries.drafts import QueryDraft
from reports.queries.forms import ParameterForm, QueryForm, TryForm
from reports.queries.parameters import Parameter
from runs import form_errors
from runs.pages import page
from runs.row_numbers import row_number
from runs.words import counted

VIEW = "reports.view_reportquery"
SHOWN_USERS = 20
SAVES = ("save", "ask")
"""The buttons that store what was typed."""


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new one."""
    if not request.user.has_perm(services.ADD):
        raise PermissionDenied
    return _page(request, ReportQuery(), may_save=True)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, query_id: int) -> HttpResponse:
    """One that exists; whoever may only look sees its text, and whoever may approve it tries that."""
    user = request.user
    may_save = user.has_perm(services.CHANGE)
    is_try = request.method == "POST" and request.POST.get("do") == "try" and services.may_try(user)
    if not (may_save or is_try or (request.method != "POST" and user.has_perm(VIEW))):
        raise PermissionDenied
    found = ReportQuery.objects.select_related("author", "approved_by")
    return _page(request, get_object_or_404(found, pk=query_id), may_save=may_save)


def _page(request: HttpRequest, query: ReportQuery, *, may_save: bool) -> HttpResponse:
    do = request.POST.get("do", "save") if request.method == "POST" else ""
    rows = _rows(request, query, do, may_save=may_save)
    declared = forms.declared(rows)
    form = QueryForm(request.POST if do and may_save else None, query)
    draft = form.draft(declared) if do and may_save else None
    wrong: Mapping[int, Mapping[str, str]] = {}
    if do in SAVES and draft is not None:
        wrong = parameters.problems(declared)
        if saved := _save(request, query, form, draft):
            return saved
    elif form.is_bound:
        form.errors.clear()  # another button is no attempt to save
    sql = draft.sql if draft is not None else query.sql
    try_form, tried, problem = TryForm(declared, data=request.POST if do else None), None, ""
    if do == "try":
        try:
            tried = _tried(request, query, sql, declared, try_form)
        except ValidationError as error:
            problem = " ".join(error.messages)
    context = {
        **_about(request, query), "form": form, "do": do, "may_save": may_save, "sql": sql,
        "rows": [
            ParameterForm(number, row, wrong.get(number, {}), is_new=do == "add" and number == len(rows) - 1)
            for number, row in enumerate(rows)
        ],
        "declared": declared, "may_try": services.may_try(request.user), "try_form": try_form, "tried": tried, "problem": problem,
        "is_fewer": do.startswith("remove"), "is_refused": do in SAVES and bool(form.errors or wrong),
    }  # fmt: skip
    return page(request, "reports/queries/query.html", context)


def _rows(request: HttpRequest, query: ReportQuery, do: str, *, may_save: bool) -> list[dict[str, str]]:
    """The rows of parameters after the button that was pressed."""
    if not do or not may_save:
        return forms.rows_of(parameters.read(query.parameters))
    rows = forms.typed_rows(request.POST)
    word, _, number = do.partition(":")
    if word == "add" and len(rows) < parameters.MAX_PARAMETERS:
        rows.append({"name": "", "label": "", "kind": parameters.Kind.TEXT, "choices": "", "default": ""})
    place = row_number(number)
    if word == "remove" and place is not None and place < len(rows):
        del rows[place]
    # A row in which nothing stands would come between a parameter and what is wrong with it.
    return [row for row in rows if forms.declared([row])] if do in SAVES else rows


def _save(request: HttpRequest, query: ReportQuery, form: QueryForm, draft: QueryDraft) -> HttpResponse | None:
    try:
        saved = services.save_query(request.user, draft, query.pk, seen=request.POST.get("seen", ""))
    except ValidationError as error:
        form.errors.clear()  # the services' words, and theirs alone
        kept = {name: list(said) for name, said in error.message_dict.items() if name != "parameters"}
        if kept:
            form_errors.show(form, ValidationError(kept))
        else:
            form.add_error(None, "A parameter needs another look.")
        # Whoever was told that somebody else changed it saves over that the second time.
        form.data = QueryDict(mutable=True)
        form.data.update({**request.POST.dict(), "seen": approval.current(query) if query.pk else ""})
        return None
    messages.success(request, page_words.saved(saved))
    if request.POST.get("do") == "ask":
        _hand_in(request, saved)
    return HttpResponseRedirect(approval.page_of(saved))


def _hand_in(request: HttpRequest, query: ReportQuery) -> None:
    try:
        _, told = services.ask_for_approval(request.user, query.pk)
    except ValidationError as error:
        messages.error(request, f"It was not handed in. {' '.join(error.messages)}")
        return
    if told:
        messages.success(request, f"Handed in. {counted(told, 'person has', 'people have')} been told.")
    else:
        messages.warning(
            request, "Handed in. Nobody else may approve it yet: an administrator can give somebody the permission."
        )


def _tried(
    request: HttpRequest, query: ReportQuery, sql: str, declared: Sequence[Parameter], form: TryForm
) -> page_words.Shown:
    stored = query if query.pk else None
    tried = services.try_query(request.user, sql, tuple(declared), form.values(), form.window(), stored)
    return page_words.shown(tried)


def _about(request: HttpRequest, query: ReportQuery) -> dict[str, Any]:
    """What stands beside the form."""
    if not query.pk:
        return {"title": "Add an SQL query", "query": query, "tables": readable.tables(), "why_not": sandbox.why_not()}
    is_waiting = query.state == ReportQuery.State.WAITING
    decides = is_waiting and request.user.has_perm(approval.APPROVE)
    return {
        "title": f"SQL query “{query}”",
        "query": query,
        "tone": page_words.TONES[ReportQuery.State(query.state)],
        "state_note": page_words.state_note(query),
        "may_ask": query.state in (ReportQuery.State.DRAFT, ReportQuery.State.REFUSED)
        and request.user.has_perm(services.CHANGE),
        "may_decide": decides and not approval.why_not(query, request.user),  # type: ignore[arg-type]
        "why_not_decide": approval.why_not(query, request.user) if decides else "",  # type: ignore[arg-type]
        "users": list(query.definitions.order_by("name")[:SHOWN_USERS]),
        "is_changed": approval.is_changed(query),
        "diff": diffs.of_texts(query.approved_sql, query.sql) if query.approved_sha256 else [],
        "parameter_diff": diffs.of_parameters(query.approved_parameters, query.parameters)
        if query.approved_sha256
        else [],
        "sha256": approval.current(query),
        "tables": readable.tables(),
        "why_not": sandbox.why_not(),
    }
