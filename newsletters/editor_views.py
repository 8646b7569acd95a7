"""The editor's own addresses: preview, pictures to choose from, a test mail, and the checks before sending."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from newsletters import checklist, content, drafts, images, layouts, previews, test_mail
from newsletters.drafts import Draft
from newsletters.models import Issue, Newsletter, Subscriber
from newsletters.source_errors import SourceError
from runs.pages import page

PICTURES_SHOWN = 24
PART = "Almanac-Part"
"""The header by which our script asks for a part; without it the answer is a whole page."""
_EXAMPLE = """# The first heading

This is how a text looks in this layout, dear {{ name|reader }}. It has **important words**, [a link](https://example.org/)
and a list:

- the library opens again
- a concert in the park

> Somebody said something worth repeating.
"""


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """The letter as typed so far, as one reader would get it. Changes nothing."""
    _require(request, "newsletters.view_newsletter")
    draft = drafts.of_form(request.POST)
    reader, offered = _reader(request, draft)
    shown = previews.preview(draft, reader, request.POST.get("preview_view", ""))
    return _answer(request, "newsletters/admin/_preview.html", {"preview": shown, "offered": offered}, "Preview")


@require_POST
def preview_layout(request: HttpRequest) -> HttpResponse:
    """The layout as typed so far, around an example text. Changes nothing."""
    _require(request, "newsletters.view_lettertemplate")
    layout = content.Layout(request.POST.get("source", ""), request.POST.get("format", "html"))
    title = request.POST.get("name", "") or "Newsletter"
    source = content.Source(
        subject=title, body=_EXAMPLE, title=title, list_names=["City news"], template=layout,
        preheader="The line beside the subject", postal_address="Town hall\nMarket Square 1",
    )  # fmt: skip
    draft = Draft(Newsletter(name=title), source)
    shown = previews.preview(draft, previews.nobody_in_particular(), request.POST.get("preview_view", ""))
    try:
        layouts.check(layout.source, layout.format)
    except SourceError as error:
        shown = previews.Preview(None, "", shown.audience, error=str(error), error_field="source")
    context = {"preview": shown, "is_layout": True}
    return _answer(request, "newsletters/admin/_preview.html", context, "Preview of the layout")


def _reader(request: HttpRequest, draft: Draft) -> tuple[previews.Reader, list[Subscriber]]:
    """Whose letter is shown; whoever may not see readers gets somebody invented."""
    chosen, typed = request.POST.get("preview_as", "first"), request.POST.get("preview_address", "").strip()
    if chosen == "empty":
        return previews.nothing_filled_in(), []
    if not request.user.has_perm("newsletters.view_subscriber"):
        return previews.nobody_in_particular(), []
    if chosen == "address" and typed:
        offered = previews.readers_like(typed)
        found = previews.reader_at(typed)
        return found or previews.nobody_in_particular(), offered
    return previews.first_reader(draft.reach), []


@require_GET
def pick_image(request: HttpRequest) -> HttpResponse:
    """The newest pictures that can be used, or those whose description holds ``q``."""
    _require(request, "newsletters.view_image")
    asked = request.GET.get("q", "")[:100]
    pictures = []
    for image in images.ready(asked, limit=PICTURES_SHOWN):
        sizes = list(image.sizes.all())
        if sizes:
            largest = sizes[-1]
            largest.image = image
            thumbnail = reverse("admin:newsletters_image_file", args=[sizes[0].pk])
            pictures.append({"image": image, "thumbnail": thumbnail, "url": images.public_url(largest)})
    return render(request, "newsletters/admin/_pictures.html", {"pictures": pictures, "asked": asked})


@require_POST
def send_test(request: HttpRequest) -> HttpResponse:
    """Mails the letter as typed so far to staff."""
    _require(request, test_mail.PERMISSION)
    draft = drafts.of_form(request.POST)
    try:
        sent_to = test_mail.send_test(request.user, draft, request.POST.get("test_to", ""))
        without_file = test_mail.leaves_out_attachment(request.user, draft, sent_to)
        context: dict[str, Any] = {"sent_to": sent_to, "without_file": without_file}
    except ValidationError as error:
        context = {"problem": " ".join(error.messages)}
    return _answer(request, "newsletters/admin/_test_sent.html", context, "Test mail")


@require_GET
def checks(request: HttpRequest) -> HttpResponse:
    """The checks of a stored newsletter or issue; with ``part=links`` those that ask other servers."""
    _require(request, "newsletters.view_newsletter")
    draft = _stored(request)
    if request.GET.get("part") == "links":
        return render(request, "newsletters/admin/_check_list.html", {"checks": checklist.check_links(draft)})
    found = checklist.check(draft)
    context: dict[str, Any] = {"checks": found, "address": checklist.address(draft)}
    if not _wants_part(request):
        context["checks"] = [*found, *checklist.check_links(draft)]
        context["has_links"] = True
    return _answer(request, "newsletters/admin/_checks.html", context, "Checks before sending")


def _stored(request: HttpRequest) -> Draft:
    try:
        if "issue" in request.GET:
            return drafts.of_issue(get_object_or_404(Issue, pk=request.GET["issue"]))
        return drafts.of_newsletter(get_object_or_404(Newsletter, pk=request.GET.get("newsletter")))
    except (ValueError, OverflowError) as error:
        raise Http404("There is no such letter.") from error


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _wants_part(request: HttpRequest) -> bool:
    return PART in request.headers or "HX-Request" in request.headers


def _answer(request: HttpRequest, template: str, context: dict[str, Any], title: str) -> HttpResponse:
    """The part itself for our script; a page around it for a browser without scripts."""
    if _wants_part(request):
        return render(request, template, context)
    return page(request, "newsletters/admin/part_page.html", {**context, "title": title, "part": template})
