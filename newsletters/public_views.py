"""The readers' pages: leave, sign up, confirm, write to us. A GET never changes anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from newsletters import feedback as feedback_box
from newsletters import subscriptions, tokens
from newsletters.forms import FeedbackForm, SubscribeForm
from newsletters.models import Newsletter

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
View = Callable[..., HttpResponse]


def _public(view: View) -> View:
    """GET, HEAD and POST only; nothing is kept by caches, nothing from elsewhere is loaded."""

    @never_cache
    @require_http_methods(["GET", "HEAD", "POST"])
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return guarded


@csrf_exempt  # RFC 8058: mail programs post here without cookies; the signed token is the authority
@_public
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST leaves. One click from a mail program and the button do the same, any number of times."""
    try:
        claim = tokens.read_unsubscribe(token)
    except tokens.BadToken:
        return render(request, "newsletters/link_broken.html", status=404)
    newsletter = Newsletter.objects.filter(pk=claim.newsletter_id).only("name").first()
    context: dict[str, Any] = {"newsletter": newsletter.name if newsletter else "our newsletter"}
    if request.method == "POST":
        subscriptions.unsubscribe(claim)
        return render(request, "newsletters/unsubscribed.html", context)
    context["lists"] = subscriptions.lists_to_leave(claim)
    return render(
        request, "newsletters/unsubscribe.html" if context["lists"] else "newsletters/unsubscribed.html", context
    )


@_public
def subscribe(request: HttpRequest) -> HttpResponse:
    """The sign-up form; the answer is the same whether the address is known or not."""
    form = SubscribeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not form.is_bot:
            data = form.cleaned_data
            subscriptions.sign_up(data["email"], data["email_norm"], data["name"], list(data["lists"]))
        return render(request, "newsletters/subscribed.html", {"email": form.cleaned_data["email"]})
    return render(request, "newsletters/subscribe.html", {"form": form}, status=422 if form.is_bound else 200)


@_public
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST confirms: programs that follow every link confirm nothing."""
    try:
        claim = tokens.read_confirmation(token)
    except tokens.BadToken:
        return render(request, "newsletters/confirm_expired.html", status=404)
    if request.method == "POST":
        lists = subscriptions.confirm(claim)
        if not lists:
            return render(request, "newsletters/confirm_expired.html", status=404)
        return render(request, "newsletters/confirmed.html", {"lists": lists})
    return render(request, "newsletters/confirm.html")


@_public
def feedback(request: HttpRequest) -> HttpResponse:
    """The feedback form; it answers at once, a worker mails staff."""
    form = FeedbackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not form.is_bot:
            data = form.cleaned_data
            feedback_box.save_feedback(data["name"], data["email"], data["text"])
        return render(request, "newsletters/feedback_thanks.html")
    return render(request, "newsletters/feedback.html", {"form": form}, status=422 if form.is_bound else 200)
