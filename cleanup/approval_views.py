"""Approving a cleanup, or saying no: asked about first, with exactly what it would delete."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from cleanup import approval, findings, plan_page, policy_words, services
from cleanup.models import CleanupApproval, CleanupPolicy
from runs import decisions, questions, words
from runs.audit import require
from runs.decisions import NoteForm


@questions.by_post
@questions.asks_again
def approve(request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows exactly what it would delete; approves it when that is confirmed."""
    policy = _asked(request, object_id, "approve the policy")
    asked = approval.waiting(policy)
    form = NoteForm(request, label="A word to whoever asked (if you like)", help_text="It stays on the policy’s page.")
    facts = []
    if asked is not None:
        who = asked.asked_by or "Somebody"
        lasts = words.counted(approval.LASTS.days, "day")
        facts = [
            f"{who} asks to delete {words.counted(asked.preview.total, 'row')}. {asked.why}"
            if asked.preview
            else f"{who} asked for this. {asked.why} What was counted then is no longer there.",
            f"You agree to this rule and to at most {words.counted(asked.rows_allowed, 'row')} a run, for {lasts}. "
            "With another rule, or with more rows, you are asked again.",
        ]
    return _answered(
        request, policy, asked, form, f"Let “{policy}” delete so much?", facts, "Approve",
        lambda seen, note: services.approve_policy(request.user, object_id, seen, note),
        "Approved. Whoever asked has been told, and can switch it on.", is_danger=True,
    )  # fmt: skip


@questions.by_post
@questions.asks_again
def refuse(request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks why not; says no with these words."""
    policy = _asked(request, object_id, "refuse the policy")
    form = NoteForm(
        request, label="Why not?", help_text="Whoever asked gets these words.", required="Say why, for whoever asked."
    )
    return _answered(
        request, policy, approval.waiting(policy), form, f"Say no to “{policy}”?", ["Nothing is deleted by it so far."], "Say no",
        lambda seen, note: services.refuse_policy(request.user, object_id, seen, note), "Refused. Whoever asked has been told.",
    )  # fmt: skip


def _asked(request: HttpRequest, policy_id: int, action: str) -> CleanupPolicy:
    policy = get_object_or_404(CleanupPolicy, pk=policy_id)
    require(request.user, approval.APPROVE, action, policy)
    return policy


def _answered(
    request: HttpRequest, policy: CleanupPolicy, asked: CleanupApproval | None, form: NoteForm, title: str,
    facts: list[str], button: str, act: Callable[[str, str], object], done: str, *, is_danger: bool = False,
) -> HttpResponse:  # fmt: skip
    back = approval.page_of(policy)
    if (answer := decisions.decided(request, form, act, done, back=back)) is not None:
        return answer
    context = {
        "policy": policy, "title": title, "facts": facts, "button": button, "form": form, "is_danger": is_danger,
        "rule": policy_words.rule(policy), "seen": services.seen_of(asked) if asked is not None else "",
        "plan": plan_page.shown(findings.of_preview(asked.preview)) if is_danger and asked and asked.preview else None,
        "preview": asked.preview if asked is not None else None,
        "problem": approval.why_not(policy, asked, request.user) if asked is not None else "Nothing waits for approval any more.",  # type: ignore[arg-type]
    }  # fmt: skip
    return questions.ask(request, "cleanup/question.html", context, back=back)
