"""The pages for people outside who get reports: the files of a link, and no more mails. A GET never changes anything.

Unknown, changed, too old, taken back: all get one and the same answer, so that it tells nothing.
"""

from __future__ import annotations

from datetime import datetime
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from reports import share_links, unsubscribing, views
from reports.models import ReportRun
from runs import client_address, public_pages, words
from runs.public_pages import View


def _public(view: View) -> View:
    """As every public page, and the address, which is the key to the files, goes to no other site and into no log."""

    @public_pages.public
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return guarded


@_public
def link(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET shows what there is, as often as a mail scanner likes; the button leads to a file for an hour."""
    found = share_links.find(token)
    files = [] if found is None else share_links.files_of(found)
    if found is None or not files:
        return _not_here()
    if request.method == "POST":
        chosen = next((one for one in files if str(one.key) == request.POST.get("file")), None)
        if chosen is None:
            return _not_here()
        answer = redirect("reports:link_file", share_links.file_token(found, chosen))
        answer.status_code = 303  # a GET follows, whatever was sent
        return answer
    made = found.report_run
    context = {
        "report_run": made,
        "files": files,
        "link": found,
        "is_incomplete": made.state == ReportRun.State.INCOMPLETE,
        "until": _day(min(found.expires_at, max(one.expires_at for one in files)), made.time_zone),
    }
    return _show("link", context)


@_public
@require_safe
def file(request: HttpRequest, token: str) -> HttpResponseBase:
    """The file, or the part that was asked for; each is noted with the link."""
    found = share_links.read_file_token(token)
    if found is None:
        return _not_here()
    used, artefact = found
    ip = client_address.of(request)
    try:
        share_links.admit(used, ip)
    except share_links.TooMany as flood:
        response = _show("too_many", {"seconds": flood.seconds}, status=429)
        response.headers["Retry-After"] = str(flood.seconds)
        return response

    def record(byte_range: str) -> None:
        share_links.record_download(used, artefact, ip=ip, byte_range=byte_range)

    return views.hand_out(request, artefact, record) or _not_here()


@_public
def leave(request: HttpRequest, token: str) -> HttpResponseBase:
    """GET shows a button, POST ends the mails, or has them back. One click from a mail program (RFC 8058) ends them."""
    recipient = unsubscribing.find(token)
    if recipient is None:
        return _not_here()
    if request.method == "POST" and request.POST.get("do") == "come-back":
        unsubscribing.come_back(recipient)
        return _show("came_back", {"definition": recipient.definition, "address": recipient.address})
    if request.method == "POST":
        unsubscribing.unsubscribe(recipient)
    is_asked = request.method != "POST" and recipient.unsubscribed_at is None
    return _show("leave" if is_asked else "left", {"definition": recipient.definition, "address": recipient.address})


def _day(moment: datetime, zone: str) -> str:
    """On the clock of the report: whoever reads this has not told us theirs."""
    return words.plain_date(moment.astimezone(ZoneInfo(zone)).date())


def _not_here() -> HttpResponse:
    return _show("link_gone", {}, status=404)


def _show(template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Not rendered with the request: what is not asked for its user sets no cookie."""
    frame = {"organisation": public_pages.organisation()}
    return HttpResponse(render_to_string(f"reports/public/{template}.html", {**frame, **context}), status=status)
