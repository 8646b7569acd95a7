"""The small fixed grammar of merge tags: ``{{ name }}``, ``{{ name|there }}``. Pure; nothing is ever evaluated.

A tag names one value and, after a bar, the words to use when that value is empty. Values are put in by plain
substitution, escaped for the place they land in.
"""

from __future__ import annotations

import html
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from newsletters.plain_lines import one_line
from newsletters.source_errors import SourceError

KNOWN = ("name", "email", "unsubscribe_url", "preferences_url", "view_url")
"""The tags that every newsletter may use, besides the readers' own attributes."""

URL_TAGS = frozenset({"unsubscribe_url", "preferences_url", "view_url"})

PLACES = ("content", "footer", "feed")
"""Not values but places: the text and the footer in a layout, and what is new in a feed."""

_TAG = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LINK_OPEN = re.compile(r"\b(?:href|src)\s*=\s*(?:\"[^\"]*|'[^']*)$", re.IGNORECASE)


class MergeTagError(SourceError):
    """A tag that cannot be read or is not known; the message names it."""


class Place(Enum):
    """Where a value lands, which decides how it is escaped."""

    TEXT = "text"
    """Plain text: as it is, without control characters."""
    LINE = "line"
    """A header: one line."""
    HTML = "html"
    """HTML text or a quoted attribute."""
    URL = "url"
    """Inside a link in HTML."""


@dataclass(frozen=True)
class Tag:
    """One merge tag of a template."""

    name: str
    fallback: str = ""

    def __str__(self) -> str:
        return f"{{{{ {self.name}|{self.fallback} }}}}" if self.fallback else f"{{{{ {self.name} }}}}"


@dataclass(frozen=True)
class Slot:
    """A tag, and the place that its value lands in."""

    tag: Tag
    place: Place

    def fill(self, values: Mapping[str, str]) -> str:
        """The reader's value, or the fallback where it is missing or empty, made harmless for the place."""
        return escape(self.value(values), self.place)

    def value(self, values: Mapping[str, str]) -> str:
        """The reader's value, or the fallback, as it is."""
        return values.get(self.tag.name, "").strip() or self.tag.fallback


class Template:
    """A text split once at its tags; :meth:`render` is a join."""

    def __init__(self, source: str, place: Place) -> None:
        """Raises MergeTagError when a tag cannot be read."""
        self.parts: list[str | Slot] = []
        """In order: what is the same for everybody, and where each reader's own value goes."""
        for part in split(source):
            if isinstance(part, str):
                self.parts.append(part)
            else:
                self.parts.append(Slot(part, self._place_here(place, part)))

    def _place_here(self, place: Place, tag: Tag) -> Place:
        before = self.parts[-1] if self.parts else ""
        is_in_link = place is Place.HTML and isinstance(before, str) and _LINK_OPEN.search(before)
        return Place.URL if is_in_link and tag.name not in URL_TAGS else place

    def render(self, values: Mapping[str, str]) -> str:
        """The text for one reader; a missing or empty value becomes the tag's fallback."""
        return "".join(part if isinstance(part, str) else part.fill(values) for part in self.parts)


def split(source: str) -> list[str | Tag]:
    """The source as literal text and tags, in order.

    Raises:
        MergeTagError: braces that are not closed, or a tag that is not of the grammar; it names the line.
    """
    return [part for part, _ in _scan(source)]


def _scan(source: str) -> Iterator[tuple[str | Tag, int]]:
    """The parts and the line that each begins in; 0 where there is only one line."""
    position = 0
    for match in _TAG.finditer(source):
        yield _literal(source, position, match.start())
        line = _line(source, match.start())
        yield _read(match.group(1), line), line
        position = match.end()
    yield _literal(source, position, len(source))


def _line(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1 if "\n" in source else 0


def _literal(source: str, start: int, end: int) -> tuple[str, int]:
    for braces in ("{{", "}}"):
        at = source.find(braces, start, end)
        if at >= 0:
            near = source[at : min(end, at + 30)].splitlines()[0]
            raise MergeTagError(
                f"A merge tag is not complete near “{near}”. Write it as {{{{ name }}}}.", line=_line(source, at)
            )
    return source[start:end], _line(source, start)


def _read(inside: str, line: int) -> Tag:
    name, _, fallback = inside.partition("|")
    name = name.strip()
    if not _NAME.fullmatch(name):
        shown = " ".join(inside[:40].split())
        raise MergeTagError(
            f"“{{{{ {shown} }}}}” is not a merge tag. Write {{{{ name }}}} or {{{{ name|there }}}}.", line=line
        )
    return Tag(name, one_line(fallback))


def tags_in(source: str) -> list[Tag]:
    """The tags of a source, in order. Raises MergeTagError."""
    return [part for part in split(source) if isinstance(part, Tag)]


def check(source: str, attributes: Iterable[str] = ()) -> None:
    """Checks that every tag can be read and is known.

    Raises:
        MergeTagError: the message names the tag and its line, and says which ones there are.
    """
    allowed = [*KNOWN, *sorted(set(attributes) - set(KNOWN))]
    for tag, line in _scan(source):
        if isinstance(tag, Tag) and tag.name not in allowed:
            known = ", ".join(f"{{{{ {name} }}}}" for name in allowed[:12])
            raise MergeTagError(f"There is no merge tag {{{{ {tag.name} }}}}. You can use {known}.", line=line)


class Hidden:
    """Stands in for tags while a text goes through Markdown, MJML and HTML: words that all of them leave alone."""

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(6)
        self._tags: dict[str, str] = {}

    def hide(self, source: str) -> str:
        """The source with a word in place of each tag; lines stay where they are. Raises MergeTagError."""
        return "".join(self.word(str(part)) if isinstance(part, Tag) else part for part in split(source))

    def word(self, stands_for: str) -> str:
        """A word of letters and digits that :meth:`show` turns into this text."""
        word = f"tag{self._nonce}n{len(self._tags)}z"
        self._tags[word] = stands_for
        return word

    def is_in(self, text: str) -> bool:
        """Whether a word stands in the text."""
        return f"tag{self._nonce}n" in text

    def show(self, text: str) -> str:
        """The text with the tags back in place of their words."""
        return re.sub(rf"tag{self._nonce}n\d+z", lambda match: self._tags[match.group()], text)


def escape(value: str, place: Place) -> str:
    """The value made harmless for the place it lands in; control characters become spaces everywhere."""
    value = one_line(value)
    if place is Place.HTML:
        return html.escape(value)
    if place is Place.URL:
        return quote(value, safe="")
    return value
