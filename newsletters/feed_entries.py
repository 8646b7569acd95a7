"""Reads the entries of an RSS or Atom feed and writes them into a letter; what a stranger wrote stays plain text."""

from __future__ import annotations

import hashlib
import html
import io
import re
from calendar import timegm
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import feedparser
from inscriptis import get_text

from newsletters.models import Format
from runs import words

SUMMARY_CHARACTERS = 300
TITLE_CHARACTERS = 250
_MOST_READ = 20_000
"""Of a text with markup; a summary needs no more."""
_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]()#+\-.!<>|~&])")
_PLACE = re.compile(r"[ \t]*\{\{\s*feed\s*(?:\|[^{}]*)?\}\}[ \t]*")


@dataclass(frozen=True)
class Entry:
    """One entry, as plain text."""

    key: str
    """The same for the same entry, however often the feed is read."""
    title: str
    url: str
    """http or https, or empty."""
    published_at: datetime | None
    summary: str


@dataclass(frozen=True)
class Feed:
    """What a feed held when it was read."""

    title: str
    entries: tuple[Entry, ...]
    """The newest first; those without a date last, in the feed's own order."""


@dataclass(frozen=True)
class NotAFeed:
    """Something else, with the addresses of the feeds that the page names."""

    offered: tuple[str, ...]


def read(body: bytes, base_url: str) -> Feed | NotAFeed:
    """The entries of a feed, each once. A damaged feed is read as far as it goes."""
    # As a file: given text, the library would take it for an address or a path and open that.
    parsed: Any = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False)
    if not parsed.get("version"):
        links = parsed.get("feed", {}).get("links", [])
        offered = [
            urljoin(base_url, str(link.get("href", "")))
            for link in links
            if link.get("rel") == "alternate"
            and str(link.get("type")) in ("application/rss+xml", "application/atom+xml")
        ]
        return NotAFeed(tuple(offered[:3]))
    found: dict[str, Entry] = {}
    for raw in parsed.entries:
        entry = _entry(raw, base_url)
        if entry is not None:
            found.setdefault(entry.key, entry)
    oldest = datetime.min.replace(tzinfo=timezone.utc)
    newest_first = sorted(found.values(), key=lambda entry: entry.published_at or oldest, reverse=True)
    return Feed(_plain(parsed.feed.get("title", ""), is_html=True)[:TITLE_CHARACTERS], tuple(newest_first))


def _entry(raw: Any, base_url: str) -> Entry | None:
    title_is_html = raw.get("title_detail", {}).get("type") == "text/html"
    title = _plain(raw.get("title", ""), is_html=title_is_html)[:TITLE_CHARACTERS]
    content = raw.get("content") or [{}]
    summary = _shortened(_plain(raw.get("summary") or content[0].get("value", ""), is_html=True))
    url = _web_address(str(raw.get("link") or ""), base_url)
    identity = str(raw.get("id") or url or title or summary)
    if not (title or summary):
        return None
    key = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:16]
    return Entry(key, title or _shortened(summary, 80), url, _moment(raw), summary)


def _moment(raw: Any) -> datetime | None:
    parts = raw.get("published_parsed") or raw.get("updated_parsed")
    try:
        return datetime.fromtimestamp(timegm(parts), tz=timezone.utc) if parts else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def _web_address(url: str, base_url: str) -> str:
    try:
        joined = urljoin(base_url, url.strip()) if url.strip() else ""
        is_web = urlsplit(joined).scheme in ("http", "https") and urlsplit(joined).hostname
    except ValueError:
        return ""
    return quote(joined, safe="/?%:@!$&'*+,;=~-._#[]") if is_web and len(joined) <= 2000 else ""


def _plain(value: object, *, is_html: bool) -> str:
    """One line of text without markup, scripts and control characters; braces are no merge tags."""
    text = str(value or "")[:_MOST_READ]
    if is_html and ("<" in text or "&" in text):
        text = get_text(text)
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split()).replace("{{", "{ {").replace("}}", "} }")


def _shortened(text: str, most: int = SUMMARY_CHARACTERS) -> str:
    if len(text) <= most:
        return text
    return f"{text[:most].rsplit(' ', 1)[0].rstrip(' ,.;:–-')}…"


def has_place(body: str) -> bool:
    """Whether the text says where the entries go."""
    return _PLACE.search(body) is not None


def put_in(body: str, entries: Sequence[Entry], text_format: str) -> str:
    """The letter's text with the entries where it says ``{{ feed }}``, or after it; without them, without the place."""
    written = _as_markdown(entries) if text_format == Format.MARKDOWN else _as_html(entries)
    if has_place(body):
        gap = "\n\n" if text_format == Format.MARKDOWN else ""
        first = _PLACE.sub(lambda match: f"{gap}{written}{gap}", body, count=1)
        return _PLACE.sub("", first)
    return _appended(body, written, text_format)


def with_place(body: str, text_format: str) -> str:
    """The text with a place for the entries; at its end where it names none. In MJML only its writer can choose one."""
    if has_place(body) or text_format == Format.MJML:
        return body
    return _appended(body, "{{ feed }}", text_format)


def _appended(body: str, piece: str, text_format: str) -> str:
    if text_format == Format.MARKDOWN or not piece:
        return f"{body.rstrip()}\n\n{piece}".rstrip() + "\n"
    before, end, after = body.rpartition("</body>")
    return f"{before}{piece}{end}{after}" if end else f"{body}\n{piece}"


def _as_markdown(entries: Sequence[Entry]) -> str:
    return "\n\n".join(_entry_as_markdown(entry) for entry in entries)


def _entry_as_markdown(entry: Entry) -> str:
    title = _escaped(entry.title)
    lines = [f"### [{title}](<{entry.url}>)" if entry.url else f"### {title}"]
    if entry.published_at is not None:
        lines.append(f"*{_escaped(words.day(entry.published_at))}*")
    if entry.summary and entry.summary != entry.title:
        lines.append(_escaped(entry.summary))
    return "\n\n".join(lines)


def _as_html(entries: Sequence[Entry]) -> str:
    return "\n".join(_entry_as_html(entry) for entry in entries)


def _entry_as_html(entry: Entry) -> str:
    title = html.escape(entry.title)
    parts = [f'<h3><a href="{html.escape(entry.url)}">{title}</a></h3>' if entry.url else f"<h3>{title}</h3>"]
    if entry.published_at is not None:
        parts.append(f"<p><em>{words.day(entry.published_at)}</em></p>")
    if entry.summary and entry.summary != entry.title:
        parts.append(f"<p>{html.escape(entry.summary)}</p>")
    return "\n".join(parts)


def _escaped(text: str) -> str:
    """Signs that Markdown would read as markup, each with a backslash."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", text)
