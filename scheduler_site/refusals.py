"""Every refused attempt of somebody who is signed in leaves an entry, whoever refused it: a view, the admin, CSRF.

Anonymous attempts are only logged: anybody could fill the table with them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.apps import apps
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from runs import audit, typing_kept
from scheduler_site import list_actions, views

logger = logging.getLogger(__name__)


class Refusals:
    """Records what was refused, after the transaction around the refusal has ended."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.status_code == 405 and not response.streaming and not response.content:
            return views.wrong_method(request, response)
        if _is_sent_to_sign_in(request, response):
            if request.user.is_authenticated:
                _record(request, "is not staff")
            else:
                typing_kept.keep(request, response)
                _come_back_to_the_page(request, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Django shows the list again, without a word, to whoever sends an action that it does not offer them."""
        action = list_actions.refused(request)
        if action is None:
            return None
        _record(request, "may not do this with rows of the list", action)
        return views.forbidden(request, PermissionDenied(list_actions.WORDS))

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Called after the view's own transactions have ended, so that nothing takes the entry back."""
        if isinstance(exception, audit.Refused):
            audit.keep_refusal(exception)
        elif isinstance(exception, PermissionDenied):
            _record(request, "lacks the permission")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form without our token: opened too long ago, or sent from somewhere else.

    An answer to a question that our own page sent is asked for once more instead, with what was typed.
    """
    _record(request, f"not sent from our own page: {reason}")
    if not (typing_kept.is_keeping(request) and _is_from_here(request)):
        return views.csrf_failed(request)
    again = HttpResponseRedirect(request.get_full_path())
    typing_kept.keep(request, again)
    return again


def _is_from_here(request: HttpRequest) -> bool:
    """Whether the browser says that a page of ours sent it; every browser that we know says so of a form."""
    origin = request.headers.get("Origin", "")
    return origin == f"{request.scheme}://{request.get_host()}" or origin in settings.CSRF_TRUSTED_ORIGINS


def _come_back_to_the_page(request: HttpRequest, response: HttpResponse) -> None:
    """After signing in people are on the page whose button they pressed; the button's own address shows nothing."""
    if request.method != "POST" or typing_kept.is_keeping(request):
        return
    page = urlsplit(request.headers.get("Referer", ""))
    if f"{page.scheme}://{page.netloc}" == f"{request.scheme}://{request.get_host()}":
        back = page.path + (f"?{page.query}" if page.query else "")
        response.headers["Location"] = f"{reverse('admin:login')}?{urlencode({'next': back})}"


def _is_sent_to_sign_in(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether the admin sent somebody, who is no staff or not signed in, to its sign-in page."""
    user = getattr(request, "user", None)
    if response.status_code != 302 or user is None or not request.path.startswith(reverse("admin:index")):
        return False
    is_to_sign_in = response.headers.get("Location", "").startswith(reverse("admin:login"))
    return bool(is_to_sign_in and not (user.is_authenticated and user.is_staff))


def _record(request: HttpRequest, reason: str, action: str = "") -> None:
    user = getattr(request, "user", None)
    who = user if user is not None and user.is_authenticated else None
    logger.warning("refused: %s %s %r (%s)", who or "somebody", request.method, request.path, reason)
    if who is None:
        return
    try:
        with transaction.atomic():
            audit.record_refusal(_attempt(request, who, reason, action))
    except DatabaseError:  # the refusal itself must reach the person in any case
        logger.exception("a refused attempt could not be recorded")


def _attempt(request: HttpRequest, actor: audit.Actor, reason: str, action: str) -> audit.Attempt:
    """What the address and the method say of it; never what was typed."""
    where = f"{request.method} {request.path}"
    model, verb, number = _named(request)
    why = f"{reason}; {where}"[:300]
    is_asking = request.method in ("GET", "HEAD")
    if model is None:
        return audit.Attempt(actor, "open the page" if is_asking else "use the page", "", "", request.path[:200], why)
    row = model._default_manager.filter(pk=number).first() if number.isdigit() else None
    noun = str(model._meta.verbose_name)
    action = action or (f"open the {noun}" if is_asking and verb != "changelist" else _verb(verb, model))
    return audit.Attempt(
        actor, action[:60], model._meta.label_lower, number[:40], str(row or request.path)[:200], why
    )  # fmt: skip


def _verb(verb: str, model: type[models.Model]) -> str:
    if verb == "changelist":
        return f"open the list of {model._meta.verbose_name_plural}"
    return f"{verb.replace('_', ' ')} the {model._meta.verbose_name}"


def _named(request: HttpRequest) -> tuple[type[models.Model] | None, str, str]:
    """The model, the verb and the number in an address such as admin:schedules_schedule_run_now."""
    match = request.resolver_match
    if match is None or match.url_name is None:
        return None, "", ""
    app, _, rest = match.url_name.partition("_")
    name, _, verb = rest.partition("_")
    number = next((str(value) for value in (*match.args, *match.kwargs.values())), "")
    try:
        return apps.get_model(app, name), verb, number
    except LookupError:
        return None, "", ""
