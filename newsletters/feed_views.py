"""The page of a newsletter's feed: what goes out, and what the next issue would hold."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from newsletters import feeds
from newsletters.models import Newsletter
from runs import audit, form_errors, words
from runs.pages import page


class FeedForm(forms.Form):
    """What goes out: the text alone, or with what is new in a feed."""

    source = forms.ChoiceField(
        label="What goes out", choices=Newsletter.Source.choices, widget=UnfoldAdminRadioSelectWidget
    )
    feed_url = forms.CharField(
        label="Address of the feed", max_length=500, required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "url", "spellcheck": "false", "placeholder": "https://"}),
        help_text="An RSS or Atom feed, such as https://example.org/news/feed.xml.",
    )  # fmt: skip
    feed_items = forms.IntegerField(
        label="Entries in one issue, at most", min_value=1, max_value=50, widget=UnfoldAdminIntegerFieldWidget,
        help_text="The newest ones. Older new entries are left out, and do not come later.",
    )  # fmt: skip
    feed_when_empty = forms.ChoiceField(
        label="When nothing is new",
        choices=Newsletter._meta.get_field("feed_when_empty").choices or [],
        widget=UnfoldAdminSelectWidget,
    )


FIELDS = ("source", "feed_url", "feed_items", "feed_when_empty")


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, newsletter_id: int) -> HttpResponse:
    """The settings; with ``?look=1`` also the next digest, for which the feed is asked. Saving is by POST."""
    if not request.user.has_perm("newsletters.view_newsletter"):
        raise PermissionDenied
    newsletter = get_object_or_404(Newsletter, pk=newsletter_id)
    initial = {name: getattr(newsletter, name) for name in FIELDS}
    if request.method == "POST" and "anew" in request.POST:
        number = feeds.forget_seen(request.user, newsletter)
        messages.success(request, f"{words.counted(number, 'entry', 'entries')} count as new again.")
        return HttpResponseRedirect(f"{_address(newsletter)}?look=1")
    form = FeedForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound:
        audit.require(request.user, "newsletters.change_newsletter", "change the feed", newsletter)
        if form.is_valid() and _save(request, newsletter, form):
            is_feed = form.cleaned_data["source"] == Newsletter.Source.FEED
            return HttpResponseRedirect(f"{_address(newsletter)}{'?look=1' if is_feed else ''}")
    context = {
        "newsletter": newsletter,
        "form": form,
        "title": f"Feed of {newsletter}",
        "may_change": request.user.has_perm("newsletters.change_newsletter"),
        "is_feed": newsletter.source == Newsletter.Source.FEED,
        "seen": len(newsletter.feed_seen),
        **(_look(newsletter) if "look" in request.GET and newsletter.feed_url else {}),
    }
    return page(request, "newsletters/admin/feed.html", context)


def _save(request: HttpRequest, newsletter: Newsletter, form: FeedForm) -> bool:
    try:
        feeds.save_feed(request.user, newsletter.pk, **form.cleaned_data)
    except ValidationError as error:
        form_errors.show(form, error)
        return False
    messages.success(request, "Saved. It holds from the next issue on.")
    return True


def _look(newsletter: Newsletter) -> dict[str, Any]:
    try:
        return {"is_looked": True, "digest": feeds.preview(newsletter)}
    except feeds.FeedProblem as problem:
        return {"is_looked": True, "problem": str(problem)}


def _address(newsletter: Newsletter) -> str:
    return reverse("admin:newsletters_newsletter_feed", args=[newsletter.pk])
