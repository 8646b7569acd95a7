"""Approving a query, or sending it back: asked about first, with the text that is meant."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from reports.models import ReportQuery
from reports.queries import approval, diffs, services
from runs import decisions, questions
from runs.audit import require
from runs.decisions import NoteForm


@questions.by_post
@questions.asks_again
def approve(request: HttpRequest, query_id: int) -> HttpResponse:
    """Shows what would be approved; does it when that is confirmed."""
    query = _asked(request, query_id, "approve the SQL query")
    form = NoteForm(request, label="A word to the writer (if you like)", help_text="It stays on the query’s page.")
    users = query.definitions.count()
    facts = ["From now on reports run this text, and no other.", _used(users)]
    return _answered(
        request, query, form, f"Approve “{query}”?", [fact for fact in facts if fact], "Approve this text",
        lambda seen, note: services.approve_query(request.user, query_id, seen, note), "Approved. Reports can list it from now on.",
    )  # fmt: skip


@questions.by_post
@questions.asks_again
def refuse(request: HttpRequest, query_id: int) -> HttpResponse:
    """Asks what is to be changed; sends the text back with these words."""
    query = _asked(request, query_id, "refuse the SQL query")
    form = NoteForm(
        request, label="What is to be changed?", help_text="The writer gets these words.",
        required="Write what is to be changed.",
    )  # fmt: skip
    return _answered(
        request, query, form, f"Send “{query}” back?", ["It becomes a draft again."], "Send it back",
        lambda seen, note: services.refuse_query(request.user, query_id, seen, note), "Sent back. The writer has been told.",
        shows_text=False,
    )  # fmt: skip


def _asked(request: HttpRequest, query_id: int, action: str) -> ReportQuery:
    query = get_object_or_404(ReportQuery, pk=query_id)
    require(request.user, approval.APPROVE, action, query)
    return query


def _used(users: int) -> str:
    if not users:
        return ""
    return "One report lists it." if users == 1 else f"{users:,} reports list it."


def _answered(
    request: HttpRequest, query: ReportQuery, form: NoteForm, title: str, facts: list[str], button: str,
    act: Callable[[str, str], object], done: str, *, shows_text: bool = True,
) -> HttpResponse:  # fmt: skip
    back = approval.page_of(query)
    if (answer := decisions.decided(request, form, act, done, back=back)) is not None:
        return answer
    problem = approval.why_not(query, request.user)  # type: ignore[arg-type]
    lines = diffs.of_texts(query.approved_sql, query.sql) if query.approved_sha256 else []
    context = {
        "query": query, "title": title, "facts": facts, "button": button, "problem": problem, "form": form,
        "seen": approval.current(query), "diff": lines, "shows_text": shows_text,
        "parameter_diff": diffs.of_parameters(query.approved_parameters, query.parameters),
    }  # fmt: skip
    return questions.ask(request, "reports/queries/question.html", context, back=back)
