"""The public archive, its feeds, an issue in the browser, and counted links."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.cache import get_conditional_response
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed
from django.utils.http import http_date
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from newsletters import archive, clicks, links, public_pages, tokens
from newsletters.models import Issue, Newsletter
from newsletters.public_pages import LETTER_POLICY, POLICY, public, show
from runs import client_address

CACHED_SECONDS = 300
View = Callable[..., HttpResponse]
FEEDS: dict[str, type[SyndicationFeed]] = {"atom": Atom1Feed, "rss": Rss201rev2Feed}


def _cacheable(view: View) -> View:
    """A page that is the same for everybody: caches may keep it for minutes and ask whether it has changed."""

    @require_safe
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if response.status_code != 200:
            return response
        response.headers["Cache-Control"] = f"public, max-age={CACHED_SECONDS}"
        etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        response.headers["ETag"] = etag
        return (
            get_conditional_response(request, etag=etag, last_modified=_stamp(response), response=response) or response
        )

    return guarded


def _stamp(response: HttpResponse) -> int | None:
    at: datetime | None = getattr(response, "changed_at", None)
    return int(at.timestamp()) if at is not None else None


def _dated(response: HttpResponse, at: datetime | None) -> HttpResponse:
    if at is not None:
        response.headers["Last-Modified"] = http_date(at.timestamp())
        response.changed_at = at  # type: ignore[attr-defined]
    return response


@_cacheable
def index(request: HttpRequest) -> HttpResponse:
    """Every newsletter with a public archive, and the latest issues."""
    latest = list(archive.issues()[: archive.IN_FEED])
    context = {"newsletters": archive.newsletters(), "issues": _rows(latest), **_feed_links()}
    return show("archive", context)


@_cacheable
def newsletter(request: HttpRequest, newsletter_id: int) -> HttpResponse:
    """The issues of one newsletter, newest first."""
    found = archive.find_newsletter(newsletter_id)
    if found is None:
        return show("archive_gone", status=404)
    page = archive.page_of(found, request.GET.get("page", "1"))
    context = {"newsletter": found, "page": page, "issues": _rows(page.object_list), **_feed_links(found)}
    return show("archive_newsletter", context)


@_cacheable
def issue(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One issue, with nobody's values."""
    found = archive.find_issue(public_id)
    if found is None:
        return show("archive_gone", status=404)
    response = show("archive_issue", {"issue": found, "letter": archive.letter_of(found)})
    response.headers["Content-Security-Policy"] = LETTER_POLICY
    return _dated(response, archive.changed_at(archive.issues().filter(pk=found.pk)))


@_cacheable
def feed(request: HttpRequest, format: str, newsletter_id: int | None = None) -> HttpResponse:
    """The latest issues of one newsletter, or of all, as Atom or RSS."""
    found = archive.find_newsletter(newsletter_id) if newsletter_id is not None else None
    if newsletter_id is not None and found is None:
        return show("archive_gone", status=404)
    issues = archive.issues(found)
    made = _feed(FEEDS[format], found, list(issues[: archive.IN_FEED]))
    response = HttpResponse(made.writeString("utf-8"), content_type=made.content_type)  # type: ignore[attr-defined]
    return _dated(response, archive.changed_at(issues))


def _feed(kind: type[SyndicationFeed], newsletter: Newsletter | None, issues: list[Issue]) -> SyndicationFeed:
    where = ("archive_newsletter", newsletter.pk) if newsletter is not None else ("archive",)
    made = kind(
        title=newsletter.name if newsletter is not None else f"{public_pages.organisation()}: newsletters",
        link=links.public(*where),
        description="What was sent, as it can be read on the website.",
        language="en",
        feed_url=_feed_links(newsletter)["feeds"]["atom" if kind is Atom1Feed else "rss"],
    )
    for issue in issues:
        made.add_item(
            title=archive.subject_of(issue),
            link=links.public("archive_issue", issue.public_id),
            description=archive.summary_of(issue),
            author_name=issue.from_name or public_pages.organisation(),
            unique_id=f"urn:uuid:{issue.public_id}",
            unique_id_is_permalink=False,
            pubdate=archive.published_at(issue),
            updateddate=issue.finished_at or archive.published_at(issue),
            categories=[] if newsletter is not None else [issue.newsletter.name],
        )
    return made


def _feed_links(newsletter: Newsletter | None = None) -> dict[str, dict[str, str]]:
    name = "archive_newsletter_feed" if newsletter is not None else "archive_feed"
    scope = (newsletter.pk,) if newsletter is not None else ()
    return {"feeds": {format: links.public(name, *scope, format) for format in FEEDS}}


def _rows(issues: Any) -> list[dict[str, Any]]:
    return [
        {"issue": one, "subject": archive.subject_of(one), "summary": archive.summary_of(one),
         "published_at": archive.published_at(one)}
        for one in issues
    ]  # fmt: skip


@public
def view(request: HttpRequest, token: str) -> HttpResponse:
    """One issue as one recipient got it, for those whose mail program shows it badly; without the links of theirs."""
    try:
        claim = tokens.read_view(token)
    except tokens.BadToken:
        return show("link_broken", status=404)
    found = Issue.objects.select_related("newsletter").filter(pk=claim.issue_id).exclude(html="").first()
    if found is None:
        return show("view_gone", status=404)
    letter = archive.view(found, archive.delivery_of(found.pk, claim.delivery_id))
    response = show("view", {"issue": found, "letter": letter})
    response.headers["Content-Security-Policy"] = LETTER_POLICY
    return response


@never_cache
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """Counts and leads on. Where to stands in the table of links, never in the address."""
    try:
        link = clicks.find_link(*tokens.read_click(token))
    except tokens.BadToken:
        link = None
    url = clicks.destination(link) if link is not None else None
    if link is None or url is None:
        return show("link_broken", status=404)
    visit = clicks.Visit(request.method == "HEAD", request.headers.get("User-Agent", ""), client_address.of(request))
    clicks.count(link, visit)
    response = HttpResponseRedirect(url)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response
