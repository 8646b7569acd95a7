"""What somebody typed into a question and sent after their session had ended, kept until they have signed in again.

It lives in a cookie of that one address, signed, for half an hour, and is shown to the same person only. Whoever is not
signed in can store nothing with us by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict

COOKIE = "almanac_typed"
KEPT_FOR = timedelta(minutes=30)
MOST_CHARACTERS = 3500
"""Browsers drop a cookie of more than 4096; what is longer is not kept."""
ASKED_OF = "asked_of"
"""The field of a question that names whom it was shown to."""

MOST_TYPED = 20_000
"""More is not even compressed."""

_SALT = "runs.typing_kept"
_NEVER = re.compile(r"csrf|pass|secret|token|key", re.IGNORECASE)
_MARK = "keeps_typing"
View = TypeVar("View", bound=Callable[..., Any])


def keeps_typing(view: View) -> View:
    """Marks a view that shows what :func:`of` still knows when its address is opened again."""
    setattr(view, _MARK, True)
    return view


def is_keeping(request: HttpRequest) -> bool:
    """Whether what this request sent may be kept: somebody answered a question of ours."""
    match = request.resolver_match
    return request.method == "POST" and match is not None and bool(getattr(match.func, _MARK, False))


def keep(request: HttpRequest, response: HttpResponse) -> None:
    """Lets the answer carry what was typed, unless it is too long. Passwords and tokens are left out."""
    if not is_keeping(request) or ASKED_OF not in request.POST:
        return
    typed = {name: values for name, values in request.POST.lists() if not _NEVER.search(name)}
    if sum(len(value) for values in typed.values() for value in values) > MOST_TYPED:
        return
    kept = signing.dumps({"path": request.path, "typed": typed}, salt=_SALT, compress=True)
    if len(kept) <= MOST_CHARACTERS:
        response.set_cookie(
            COOKIE, kept, max_age=KEPT_FOR, path=request.path, httponly=True, samesite="Lax",
            secure=bool(settings.SESSION_COOKIE_SECURE),
        )  # fmt: skip


def of(request: HttpRequest) -> QueryDict | None:
    """What this person typed here before they had to sign in again; None when there is nothing, or it is another's."""
    if request.method not in ("GET", "HEAD") or COOKIE not in request.COOKIES:
        return None
    try:
        kept = signing.loads(request.COOKIES[COOKIE], salt=_SALT, max_age=KEPT_FOR)
    except signing.BadSignature:
        return None
    if kept["path"] != request.path or kept["typed"].get(ASKED_OF) != [str(request.user.pk)]:
        return None
    typed = QueryDict(mutable=True)
    for name, values in kept["typed"].items():
        typed.setlist(name, values)
    return typed


def forget(request: HttpRequest, response: HttpResponse) -> None:
    """Once the question was answered."""
    if COOKIE in request.COOKIES:
        response.delete_cookie(COOKIE, path=request.path, samesite="Lax")
