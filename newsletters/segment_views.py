"""The page on which staff put a segment together. Every button works without scripts, by sending the whole form."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from newsletters import segment_pages, segments
from newsletters.models import Segment
from newsletters.segment_forms import SegmentForm
from newsletters.segment_pages import MATCH_WORDS, Typed
from runs import form_errors
from runs.pages import page

VIEW, ADD, CHANGE = "newsletters.view_segment", "newsletters.add_segment", "newsletters.change_segment"
READERS = "newsletters.view_subscriber"


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new one."""
    if not request.user.has_perm(ADD):
        raise PermissionDenied
    return _page(request, Segment(), may_save=True)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, segment_id: int) -> HttpResponse:
    """One that exists; whoever may only look sees it without buttons."""
    may_save = request.user.has_perm(CHANGE)
    if not (may_save or (request.method != "POST" and request.user.has_perm(VIEW))):
        raise PermissionDenied
    return _page(request, get_object_or_404(Segment, pk=segment_id), may_save=may_save)


@require_POST
def rules(request: HttpRequest) -> HttpResponse:
    """The rules after a button or another choice, as a part of the page. Changes nothing that is stored."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    context = _rules_context(request, segment_pages.typed(request.POST), with_errors=False)
    return render(request, "newsletters/admin/_segment_rules.html", context)


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """Whom the rules as typed find: the sentence, how many, and ten of them."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    number = request.POST.get("segment", "")
    segment = Segment.objects.filter(pk=number).first() if number.isascii() and number.isdigit() else None
    shown = segment_pages.live(segment_pages.typed(request.POST), segment)
    context = {"live": shown, "may_see_readers": request.user.has_perm(READERS)}
    return render(request, "newsletters/admin/_segment_live.html", context)


def _page(request: HttpRequest, segment: Segment, *, may_save: bool) -> HttpResponse:
    is_posted = request.method == "POST"
    shown = segment_pages.typed(request.POST) if is_posted else segment_pages.stored(segment)
    is_saved = is_posted and "do" not in request.POST
    form = SegmentForm(request.POST if is_posted else None, instance=segment)
    title = f"Segment “{segment}”" if segment.pk else "Add a segment"
    if is_saved and form.is_valid():
        segment.rule = shown.rule
        try:
            segments.save_segment(request.user, segment)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"“{segment}” is saved. {segments.describe(segment.rule)}")
            return HttpResponseRedirect(reverse("admin:newsletters_segment_change", args=[segment.pk]))
    if is_posted and not is_saved:
        form.errors.clear()  # a button of the rules is no attempt to save
    context = {
        "segment": segment,
        "form": form,
        "may_save": may_save,
        "used_by": segments.used_by(segment),
        "is_refused": is_saved,
        "title": title,
        "may_see_readers": request.user.has_perm(READERS),
        # Only without scripts; with them the page asks for this part by itself.
        "live": segment_pages.live(shown, None) if is_posted and not is_saved else None,
        **_rules_context(request, shown, with_errors=is_saved),
    }
    return page(request, "newsletters/admin/segment.html", context)


def _rules_context(request: HttpRequest, shown: Typed, *, with_errors: bool) -> dict[str, Any]:
    return {
        "root": shown.tree(with_errors=with_errors),
        "subjects": shown.offered.subjects,
        "match_words": MATCH_WORDS.items(),
    }
