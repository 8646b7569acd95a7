"""An issue's page in the admin, a new issue, and its text as it is saved."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from newsletters import approval, issue_page, issue_verbs, issues, preparing, recipients
from newsletters.issue_forms import IssueTextForm, WhenForm
from newsletters.models import Issue, Newsletter
from runs import form_errors
from runs.audit import require
from runs.pages import page
from runs.row_numbers import row_number

MOST_OFFERED = 200


@require_safe
def issue(request: HttpRequest, issue_id: int) -> HttpResponse:
    """The whole page; ``?part=`` names what the page itself asks for again: what changes while it is sent, or the audience."""
    if not request.user.has_perm("newsletters.view_issue"):
        raise PermissionDenied
    found = get_object_or_404(
        Issue.objects.select_related("newsletter", "template", "author", "approved_by"), pk=issue_id
    )
    part = request.GET.get("part", "")
    if part == "audience":
        return render(request, "newsletters/admin/_issue_audience.html", {"issue": found, **_audience(request, found)})
    if part == "begun":
        has_begun = found.state not in Issue.CHANGEABLE or not issue_page.is_starting(found)
        return HttpResponse(status=204, headers={"HX-Refresh": "true"} if has_begun else {})
    if part == "live":
        shown = issue_page.live(found)
        if found.state in Issue.CHANGEABLE or not shown["is_live"]:  # the page is another one now
            return HttpResponse(headers={"HX-Refresh": "true"})
        return render(request, "newsletters/admin/_issue_live.html", {"issue": found, **shown})
    return _page(request, found)


def _page(request: HttpRequest, found: Issue, form: IssueTextForm | None = None) -> HttpResponse:
    context: dict[str, Any] = {"issue": found, "title": str(found)}
    if found.state in Issue.CHANGEABLE:
        context |= issue_page.draft(request, found, form)
        if "count" in request.GET:
            context |= _audience(request, found)
        return page(request, "newsletters/admin/issue_draft.html", context)
    context |= {**issue_page.live(found), **issue_page.results(found, sees_readers=recipients.may_see(request.user))}
    return page(request, "newsletters/admin/issue.html", context)


def _audience(request: HttpRequest, found: Issue) -> dict[str, Any]:
    counted, nobody = preparing.reach_in_words(found.newsletter)
    return {
        "counted": counted,
        "nobody": nobody,
        "audience": preparing.audience_words(found.newsletter),
        "needs_approval": approval.is_needed(found.newsletter, counted.recipients),
        "is_approved": approval.is_given(found),
    }


@require_POST
def edit(request: HttpRequest, issue_id: int) -> HttpResponse:
    """Saves the text, and with ``then`` goes on to hand it in or to send it. Nothing typed is lost when it cannot."""
    found = get_object_or_404(Issue.objects.select_related("newsletter", "template"), pk=issue_id)
    require(request.user, issues.CHANGE, "change the issue", found)
    form = IssueTextForm(request.POST, instance=get_object_or_404(Issue, pk=issue_id))
    if not form.is_valid():
        return _page(request, found, form)
    try:
        saved = issues.edit_issue(request.user, issue_id, form.text(), seen=form.cleaned_data["seen"])
    except ValidationError as error:
        form_errors.show(form, error)
        return _page(request, found, form)
    then = request.POST.get("then", "")
    if then == "send_now":
        return issue_verbs.send_now(request, issue_id)
    if then == "submit":
        return issue_verbs.submit(request, issue_id)
    is_asked = saved.state == Issue.State.APPROVAL and found.state != saved.state
    messages.success(request, "Saved. The text changed, so it waits for approval again." if is_asked else "Saved.")
    return HttpResponseRedirect(approval.page_of(found))


@require_safe
def add(request: HttpRequest) -> HttpResponse:
    """The address that people guess leads to the page where an issue is begun."""
    return HttpResponseRedirect(reverse("admin:newsletters_issue_new", query=request.GET))


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Asks of which newsletter and for when; makes the draft by POST."""
    asked = request.POST if request.method == "POST" else request.GET
    newsletter = _newsletter(asked.get("newsletter", ""))
    require(request.user, issues.ADD, "write an issue", newsletter)
    back = reverse("admin:newsletters_issue_changelist")
    if newsletter is None:
        offered = Newsletter.objects.order_by("name")[:MOST_OFFERED]
        return page(
            request, "newsletters/admin/issue_new.html", {"title": "Write an issue", "offered": offered, "back": back}
        )
    may_send = request.user.has_perm(issues.SEND)
    bound = request.POST if "when" in request.POST else None
    form = WhenForm(bound, newsletter=newsletter, may_send=may_send, initial=_initial(asked.get("for", "")))
    if request.method == "POST" and form.is_bound and form.is_valid():
        try:
            made = issues.create_issue(request.user, newsletter, form.chosen())
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return HttpResponseRedirect(approval.page_of(made))
    context = {"title": f"An issue of “{newsletter}”", "newsletter": newsletter, "form": form, "back": back}
    return page(request, "newsletters/admin/issue_new.html", context)


def _newsletter(number: str) -> Newsletter | None:
    return Newsletter.objects.filter(pk=row_number(number) or 0).first()


def _initial(asked: str) -> dict[str, str]:
    return {"when": asked} if asked else {}
