"""The readers' pages: sign up, confirm, leave, write to us. A GET never changes anything."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from newsletters import archive, floods, preferences, public_pages, subscriptions, tokens
from newsletters import feedback as feedback_box
from newsletters.addresses import normalise
from newsletters.floods import Freshness
from newsletters.models import List, Newsletter, Subscriber
from newsletters.public_pages import public, show
from newsletters.reader_forms import FeedbackForm, GuardedForm, SubscribeForm
from newsletters.subscriptions import CONSENT, Consent
from runs import client_address

_AGAIN = {
    Freshness.FAST: "That was very quick. Please press the button once more.",
    Freshness.STALE: "This page was open for a long time. Nothing is lost: please press the button once more.",
    Freshness.FOREIGN: "Please look at what is written here and press the button.",
}


@public
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST leaves. One click from a mail program (RFC 8058) and the button do the same."""
    try:
        claim = tokens.read_unsubscribe(token)
    except tokens.BadToken:
        return show("link_broken", status=404)
    if claim.subscriber_id == tokens.NOBODY:
        return show("test_mail")
    lists = subscriptions.unsubscribe(claim) if request.method == "POST" else subscriptions.lists_to_leave(claim)
    context = {"newsletter": _called(claim), "lists": lists, "own_page": _own_page(claim.subscriber_id)}
    is_asked = request.method != "POST" and lists
    return show("unsubscribe" if is_asked else "unsubscribed", context)


def _called(claim: tokens.Unsubscribe) -> str:
    newsletter = Newsletter.objects.filter(pk=claim.newsletter_id).only("name").first()
    if newsletter is not None:
        return newsletter.name
    names = List.objects.filter(pk__in=claim.list_ids).order_by("name").values_list("name", flat=True)
    return " and ".join(names) or "our newsletter"


def _own_page(subscriber_id: int) -> str:
    """Whoever has the mail with this link has the one with the other as well."""
    found = Subscriber.objects.filter(pk=subscriber_id).first()
    return preferences.page_of(found) if found is not None else ""


@public
def subscribe(request: HttpRequest) -> HttpResponse:
    """The sign-up form; the answer is the same whether the address is known or not."""
    if request.method == "POST":
        form = SubscribeForm(request.POST)
        return guarded(request, form, lambda: _sign_up(request, form, source="web page"), _subscribe_page)
    chosen = request.GET.getlist("list")
    return _subscribe_page(SubscribeForm(initial={"lists": chosen} if chosen else None))


@public
def subscribe_embedded(request: HttpRequest) -> HttpResponse:
    """Takes the small form that stands on other websites. It comes without cookies and without a token of ours.

    What a foreign page can do with it, anybody can do with the form itself: ask for one mail to an address. The
    address must always confirm, whatever the list says.
    """
    if request.method != "POST":
        return _subscribe_page(SubscribeForm())
    form = SubscribeForm(request.POST)
    if not form.is_valid():
        return _subscribe_page(form, status=422)
    return _admitted(request, form, lambda: _sign_up(request, form, source="form on a website"), _subscribe_page)


def _sign_up(request: HttpRequest, form: GuardedForm, *, source: str) -> HttpResponse:
    data = form.cleaned_data
    with floods.even_time():
        if not form.is_bot:
            consent = Consent(CONSENT, client_address.of(request), source, needs_mail=source != "web page")
            subscriptions.sign_up(data["email"], normalise(data["email"]), data["name"], list(data["lists"]), consent)
    return show("subscribed", {"email": data["email"]})


def _subscribe_page(form: GuardedForm, *, status: int = 200, notice: str = "") -> HttpResponse:
    shown = archive.newsletters().exists()
    return show("subscribe", {"form": form, "consent": CONSENT, "notice": notice, "has_archive": shown}, status=status)


@public
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST confirms: programs that follow every link confirm nothing."""
    try:
        claim = tokens.read_confirmation(token)
    except tokens.BadToken:
        return show("confirm_expired", status=404)
    if request.method != "POST":
        lists = subscriptions.lists_to_confirm(claim)
        return show("confirm", {"lists": lists}) if lists else show("confirm_expired", status=404)
    lists = subscriptions.confirm(claim, client_address.of(request))
    if not lists:
        return show("confirm_expired", status=404)
    return show("confirmed", {"lists": lists, "own_page": _own_page(claim.subscriber_id)})


@public
def feedback(request: HttpRequest) -> HttpResponse:
    """The feedback form; it answers at once, a worker mails staff."""
    if request.method != "POST":
        return _feedback_page(FeedbackForm())
    form = FeedbackForm(request.POST)

    def keep() -> HttpResponse:
        if not form.is_bot:
            data = form.cleaned_data
            feedback_box.save_feedback(data["name"], data["email"], data["text"])
        return show("feedback_thanks", {"can_answer": bool(form.cleaned_data["email"])})

    return guarded(request, form, keep, _feedback_page)


def _feedback_page(form: GuardedForm, *, status: int = 200, notice: str = "") -> HttpResponse:
    return show("feedback", {"form": form, "notice": notice}, status=status)


def guarded(
    request: HttpRequest, form: GuardedForm, act: Callable[[], HttpResponse], page: Callable[..., HttpResponse]
) -> HttpResponse:
    """Does what a form of ours asks for, or shows it again with the reason and all that was typed."""
    fresh = form.freshness
    if fresh is Freshness.FOREIGN or public_pages.is_from_elsewhere(request):
        return page(form, status=403, notice=_AGAIN[Freshness.FOREIGN])
    if not form.is_valid():
        return page(form, status=422)
    if fresh in _AGAIN:
        return page(form, status=422, notice=_AGAIN[fresh])
    return _admitted(request, form, act, page)


def _admitted(
    request: HttpRequest, form: GuardedForm, act: Callable[[], HttpResponse], page: Callable[..., HttpResponse]
) -> HttpResponse:
    try:
        floods.admit(form.form_name, client_address.of(request))
    except floods.TooMany as flood:
        response = page(form, status=429, notice=f"{flood} What you wrote is still here.")
        response.headers["Retry-After"] = str(flood.seconds)
        return response
    return act()
