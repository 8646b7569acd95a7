"""What the admin's own pages share: the frame around them, the buttons that change something, the coloured word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from runs import words


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> TemplateResponse:
    """A page with the admin's sidebar and header around it."""
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context}, status=status)


def verb(
    model: type[Model], back_to: str
) -> Callable[[Callable[[HttpRequest, int], str]], Callable[..., HttpResponse]]:
    """Makes a view of what a button does with one row: POST only, and back to the row's page ``back_to``.

    The function gets the row's number and returns what was done, in words; the service it calls checks the
    permission, and a ValidationError is shown as the reason why nothing was done. Its URL names ``object_id``.
    """

    def decorate(act: Callable[[HttpRequest, int], str]) -> Callable[..., HttpResponse]:
        @require_POST
        @wraps(act)
        def view(request: HttpRequest, object_id: int) -> HttpResponse:
            get_object_or_404(model, pk=object_id)
            try:
                messages.success(request, act(request, object_id))
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(reverse(back_to, args=[object_id]))

        return view

    return decorate


def when(moment: datetime) -> SafeString:
    """A moment in a cell of a list: "3 days ago", and under it the day and time on the reader's clock."""
    return format_html('{}<span class="al-sub">{}</span>', words.relative(moment), words.here(moment))


def moment_column(name: str, label: str, none: str = "Not yet") -> Callable[[Any], SafeString | str]:
    """A column (or a read-only field) for a moment: Django's own knows neither the reader's language of dates nor a zone."""

    @admin.display(description=label, ordering=name)
    def column(obj: Any) -> SafeString | str:
        moment = getattr(obj, name)
        return none if moment is None else when(moment)

    column.__name__ = name
    return column


def chip(tone: str, word: str) -> SafeString:
    """A word on a coloured ground; the word alone says it, the colour never does."""
    return format_html('<span class="al-chip al-chip-{}">{}</span>', tone, word)
