"""A newsletter's RSS or Atom feed: what is new in it, as the text of the next issue; what went out is remembered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction

from newsletters import feed_entries, fetching
from newsletters.feed_entries import Entry, Feed
from newsletters.models import Format, Newsletter
from runs import audit, words
from runs.audit import Actor
from runs.locking import locked

MAX_BYTES = 5 * 1024 * 1024
SECONDS = 20.0
PREVIEW_SECONDS = 4.0
"""Whoever writes sees the rest of the letter meanwhile."""
KEPT_SECONDS = 60
"""For how long a look at the feed is kept for those who look at the page again."""
MOST_REMEMBERED = 2000
"""Entries that went out and are no longer in the feed, in case they come back."""


class FeedProblem(Exception):
    """The feed cannot be read; the message says why and what to do. Nothing is sent."""


@dataclass(frozen=True)
class Digest:
    """What the next issue holds of the feed."""

    body: str
    """The newsletter's text with the entries in it, in the newsletter's own format."""
    seen: tuple[str, ...]
    """The keys of everything that is in the feed now, to be handed to :func:`mark_seen`."""
    number: int
    """New entries in the issue."""
    entries: tuple[Entry, ...]
    left_out: int
    """New entries beyond the most that one issue takes; they are older, and do not come later."""
    title: str
    """The feed's own."""


def digest(newsletter: Newsletter) -> Digest:
    """Reads the feed and writes the next issue's text. Changes nothing; takes up to :data:`SECONDS`.

    Call it outside of any transaction, and :func:`mark_seen` in the one that makes the issue.

    Raises:
        FeedProblem: the feed is down, too large, too slow, no feed, or not at a public address.
    """
    return _digest(newsletter, _read(newsletter.feed_url, SECONDS))


def preview(newsletter: Newsletter, seconds: float | None = None) -> Digest:
    """As :func:`digest`, for looking at: the feed is asked at most once in :data:`KEPT_SECONDS`. Raises FeedProblem.

    Whoever waits for ``seconds`` only does not decide for others that the feed is too slow.
    """
    patience = seconds or SECONDS
    key = f"feed:{hashlib.sha256(newsletter.feed_url.encode()).hexdigest()}"
    failed = f"{key}:{patience:g}"
    kept: Feed | str | None = cache.get(key) or cache.get(failed)
    if kept is None:
        try:
            kept = _read(newsletter.feed_url, patience)
            cache.set(key, kept, KEPT_SECONDS)
        except FeedProblem as problem:
            kept = str(problem)
            cache.set(failed, kept, KEPT_SECONDS)
    if isinstance(kept, str):
        raise FeedProblem(kept)
    return _digest(newsletter, kept)


def comes_later(newsletter: Newsletter, body: str) -> str:
    """What whoever writes or approves an issue must know: the entries come in after both; empty where none do."""
    if newsletter.source != Newsletter.Source.FEED or not feed_entries.has_place(body):
        return ""
    most = words.counted(newsletter.feed_items, "entry", "entries")
    return (
        f"Where the text says {{{{ feed }}}}, what is new in the feed comes in when the issue is sent, at most {most}: "
        "nobody reads or approves those first. The preview shows what is new now."
    )


def mark_seen(newsletter: Newsletter, made: Digest) -> None:
    """Remembers what is in the feed, so that no entry goes out twice. Call it in the transaction that makes the issue."""
    row = locked(Newsletter.objects.filter(pk=newsletter.pk).only("feed_seen")).get()
    present = set(made.seen)
    gone = [key for key in row.feed_seen if key not in present]
    newsletter.feed_seen = [*made.seen, *gone[:MOST_REMEMBERED]]
    Newsletter.objects.filter(pk=newsletter.pk).update(feed_seen=newsletter.feed_seen)


def forget_seen(actor: Actor, newsletter: Newsletter) -> int:
    """Lets everything in the feed count as new again; returns how many entries were forgotten.

    Only this does: an entry that went out does not come again because its feed has moved from http to https.
    """
    audit.require(actor, "newsletters.change_newsletter", "let the feed start anew", newsletter)
    with transaction.atomic():
        row = locked(Newsletter.objects.filter(pk=newsletter.pk).only("feed_seen")).get()
        number = len(row.feed_seen)
        Newsletter.objects.filter(pk=newsletter.pk).update(feed_seen=[])
        audit.record(actor, "let the feed start anew", newsletter, before={"entries that went out": number})
    return number


def check_fields(*, source: str, feed_url: str, body: str, text_format: str) -> None:
    """Checks the feed's part of a newsletter's form, without asking the feed.

    Raises:
        ValidationError: by field, in words.
    """
    problems = {}
    if source == Newsletter.Source.FEED:
        if not feed_url:
            problems["feed_url"] = "Write the address of the feed, such as https://example.org/news/feed.xml."
        elif not feed_url.lower().startswith(("https://", "http://")):
            problems["feed_url"] = "The address of a feed begins with https:// or http://."
        if text_format == Format.MJML and not feed_entries.has_place(body):
            problems["body"] = "Write {{ feed }} inside an <mj-text> where the entries of the feed should go."
    elif feed_entries.has_place(body):
        problems["body"] = (
            "{{ feed }} stands for what is new in a feed, and this newsletter has none. Take it out, or choose the feed above."
        )
    if problems:
        raise ValidationError(problems)


def _digest(newsletter: Newsletter, feed: Feed) -> Digest:
    known = set(newsletter.feed_seen)
    new = [entry for entry in feed.entries if entry.key not in known]
    chosen = tuple(new[: newsletter.feed_items])
    return Digest(
        body=feed_entries.put_in(newsletter.body, chosen, newsletter.format),
        seen=tuple(entry.key for entry in feed.entries),
        number=len(chosen),
        entries=chosen,
        left_out=len(new) - len(chosen),
        title=feed.title,
    )


def _read(url: str, seconds: float) -> Feed:
    if not url:
        raise FeedProblem("The newsletter has no feed yet. Write its address on the newsletter's page.")
    try:
        got = fetching.fetch(url, MAX_BYTES, seconds)
    except fetching.FetchProblem as problem:
        raise FeedProblem(f"The feed {url} could not be read. {problem}") from problem
    found = feed_entries.read(got.body, got.url)
    if isinstance(found, Feed):
        return found
    hint = f" The page says that its feed is at {' or '.join(found.offered)}." if found.offered else ""
    raise FeedProblem(f"The address {url} answers, but with something that is not an RSS or Atom feed.{hint}")
