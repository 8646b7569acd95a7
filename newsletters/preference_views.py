"""The reader's own page and the pages that its mails lead to. A GET changes nothing; the token is the authority."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse

from newsletters import addresses, floods, personal_data, preferences, suppressions, tokens
from newsletters.models import Subscriber
from newsletters.public_pages import public, show
from newsletters.public_views import guarded
from newsletters.reader_forms import AskForPageForm, ChoicesForm, GuardedForm, NewAddressForm
from runs import client_address

_ASKED = {
    "data": "We have mailed you a link to a copy of your data. It works for two days.",
    "erase": "We have mailed you a link. Once you press the button behind it, everything that we hold about you is erased.",
    "address": "We have mailed a link to the new address. Once you press the button behind it, it takes the place of the old one.",
}


@public
def ask_for_page(request: HttpRequest) -> HttpResponse:
    """Mails a reader the link to their own page; the answer is the same for every address."""
    if request.method != "POST":
        return _ask_page(AskForPageForm())
    form = AskForPageForm(request.POST)

    def ask() -> HttpResponse:
        with floods.even_time():
            if not form.is_bot:
                preferences.ask_for_page(addresses.normalise(form.cleaned_data["email"]))
        return show("page_asked_for", {"email": form.cleaned_data["email"]})

    return guarded(request, form, ask, _ask_page)


def _ask_page(form: GuardedForm, *, status: int = 200, notice: str = "") -> HttpResponse:
    return show("ask_for_page", {"form": form, "notice": notice}, status=status)


@public
def own_page(request: HttpRequest, token: str) -> HttpResponse:
    """The reader's own page. Each of its buttons says in ``do`` what it does; without that, nothing happens."""
    try:
        reader = tokens.read_preferences(token)
        subscriber = tokens.subscriber_of(reader)
        act = _ACTS.get(request.POST.get("do", "")) if request.method == "POST" else None
        return act(request, reader, subscriber) if act is not None else _page(subscriber)
    except tokens.BadToken:
        return show("page_gone", status=404)


def _page(
    subscriber: Subscriber, *, choices: ChoicesForm | None = None, new_address: NewAddressForm | None = None,
    said: str = "", is_left: bool = False,
) -> HttpResponse:  # fmt: skip
    is_wrong = any(form is not None and form.errors for form in (choices, new_address))
    barred = list(suppressions.of(subscriber.email_norm))
    context: dict[str, Any] = {
        "subscriber": subscriber, "said": said, "is_left": is_left,
        "choices": choices or ChoicesForm(subscriber),
        "new_address": new_address or NewAddressForm(),
        "barred": next((row for row in barred if row.reason not in suppressions.READERS_OWN), None),
        "is_silent": any(row.reason in suppressions.READERS_OWN for row in barred),
    }  # fmt: skip
    return show("preferences", context, status=422 if is_wrong else 200)


def _save(request: HttpRequest, reader: tokens.Reader, subscriber: Subscriber) -> HttpResponse:
    form = ChoicesForm(subscriber, request.POST)
    if not form.is_valid():
        return _page(subscriber, choices=form)
    changed = preferences.save_choices(reader, form.choices, client_address.of(request))
    return _page(tokens.subscriber_of(reader), said="Saved." if changed else "Nothing had changed.")


def _leave(request: HttpRequest, reader: tokens.Reader, subscriber: Subscriber) -> HttpResponse:
    preferences.leave_everything(reader)
    return _page(subscriber, said="You are off every list. You will hear from us no more.", is_left=True)


def _new_address(request: HttpRequest, reader: tokens.Reader, subscriber: Subscriber) -> HttpResponse:
    form = NewAddressForm(request.POST)
    if not form.is_valid():
        return _page(subscriber, new_address=form)
    with floods.even_time():
        preferences.ask_for_new_address(reader, form.cleaned_data["email"])
    return _page(subscriber, said=_ASKED["address"])


def _data(request: HttpRequest, reader: tokens.Reader, subscriber: Subscriber) -> HttpResponse:
    preferences.ask_for_data(reader)
    return _page(subscriber, said=_ASKED["data"])


def _erase(request: HttpRequest, reader: tokens.Reader, subscriber: Subscriber) -> HttpResponse:
    preferences.ask_to_be_erased(reader)
    return _page(subscriber, said=_ASKED["erase"])


_ACTS = {"save": _save, "leave": _leave, "address": _new_address, "data": _data, "erase": _erase}


@public
def new_address(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST gives the reader their new address."""
    try:
        claim = tokens.read_new_address(token)
        if request.method != "POST":
            return show("new_address", {"email": claim.email})
        moved = preferences.move(claim)
    except tokens.BadToken:
        return show("page_gone", status=404)
    return show("new_address_done", {"email": moved.email, "own_page": preferences.page_of(moved)})


@public
def my_data(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST hands out the copy: programs that open every link get nobody's data."""
    try:
        subscriber = tokens.subscriber_of(tokens.read_request(tokens.DATA, token))
    except tokens.BadToken:
        return show("page_gone", status=404)
    if request.method != "POST":
        return show("my_data")
    written = json.dumps(personal_data.copy_of(subscriber), cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    response = HttpResponse(written, content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return response


@public
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows a button, POST has the reader erased; once that is done the link leads nowhere."""
    try:
        reader = tokens.read_request(tokens.ERASE, token)
        if request.method != "POST":
            return show("erase", {"email": tokens.subscriber_of(reader).email})
        preferences.erase(reader)
    except tokens.BadToken:
        return show("page_gone", status=404)
    return show("erased")
