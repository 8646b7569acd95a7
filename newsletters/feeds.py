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
from runs import audit
from runs.audit import Actor
from runs.locking import locked

MAX_BYTES = 5 * 1024 * 1024
SECONDS = 20.0
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
    return _digest(newsletter, _read(newsletter.feed_url))


def preview(newsletter: Newsletter) -> Digest:
    """As :func:`digest`, for looking at: the feed is asked at most once in :data:`KEPT_SECONDS`. Raises FeedProblem."""
    key = f"feed:{hashlib.sha256(newsletter.feed_url.encode()).hexdigest()}"
    kept: Feed | str | None = cache.get(key)
    if kept is None:
        try:
            kept = _read(newsletter.feed_url)
        except FeedProblem as problem:
            kept = str(problem)
        cache.set(key, kept, KEPT_SECONDS)
    if isinstance(kept, str):
        raise FeedProblem(kept)
    return _digest(newsletter, kept)


def mark_seen(newsletter: Newsletter, made: Digest) -> None:
    """Remembers what is in the feed, so that no entry goes out twice. Call it in the transaction that makes the issue."""
    row = locked(Newsletter.objects.filter(pk=newsletter.pk).only("feed_seen")).get()
    present = set(made.seen)
    gone = [key for key in row.feed_seen if key not in present]
    newsletter.feed_seen = [*made.seen, *gone[:MOST_REMEMBERED]]
    Newsletter.objects.filter(pk=newsletter.pk).update(feed_seen=newsletter.feed_seen)


def save_feed(
    actor: Actor, newsletter_id: int, *, source: str, feed_url: str, feed_items: int, feed_when_empty: str
) -> Newsletter:
    """Says what goes out from the next issue on. What went out stays noted, also when the address changes: an entry
    that went out does not come again because http became https. :func:`forget_seen` begins anew.

    Raises:
        ValidationError: by field, in words.
    """
    after = {
        "source": source,
        "feed_url": feed_url.strip(),
        "feed_items": feed_items,
        "feed_when_empty": feed_when_empty,
    }
    newsletter = Newsletter.objects.get(pk=newsletter_id)
    audit.require(actor, "newsletters.change_newsletter", "change the feed", newsletter)
    with transaction.atomic():
        newsletter = locked(Newsletter.objects.filter(pk=newsletter_id)).get()
        check_fields(source=source, feed_url=feed_url.strip(), body=newsletter.body, text_format=newsletter.format)
        before = {name: getattr(newsletter, name) for name in after}
        changed = [name for name in after if before[name] != after[name]]
        for name in changed:
            setattr(newsletter, name, after[name])
        if changed:
            newsletter.save(update_fields=[*changed, "changed_at"])
            audit.record(
                actor, "changed the feed of the newsletter", newsletter,
                before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
            )  # fmt: skip
    return newsletter


def forget_seen(actor: Actor, newsletter: Newsletter) -> int:
    """Lets everything in the feed count as new again; returns how many entries were forgotten."""
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
        elif not feed_url.startswith(("https://", "http://")):
            problems["feed_url"] = "The address of a feed begins with https:// or http://."
        elif len(feed_url) > 500:
            problems["feed_url"] = "The address is too long; at most 500 characters can be kept."
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


def _read(url: str) -> Feed:
    if not url:
        raise FeedProblem("The newsletter has no feed yet. Write its address on the newsletter's page.")
    try:
        got = fetching.fetch(url, MAX_BYTES, SECONDS)
    except fetching.FetchProblem as problem:
        raise FeedProblem(f"The feed {url} could not be read. {problem}") from problem
    found = feed_entries.read(got.body, got.url)
    if isinstance(found, Feed):
        return found
    hint = f" The page says that its feed is at {' or '.join(found.offered)}." if found.offered else ""
    raise FeedProblem(f"The address {url} answers, but with something that is not an RSS or Atom feed.{hint}")
