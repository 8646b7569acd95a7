"""The small fixed grammar of merge tags: ``{{ name }}``, ``{{ name|there }}``. Pure; nothing is ever evaluated.

A tag names one value and, after a bar, the words to use when that value is empty. Values are put in by plain
substitution, escaped for the place they land in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

KNOWN = ("name", "email", "unsubscribe_url")
"""The tags that every newsletter may use, besides the readers' own attributes."""

URL_TAGS = frozenset({"unsubscribe_url"})

_TAG = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LINK_OPEN = re.compile(r"\b(?:href|src)\s*=\s*(?:\"[^\"]*|'[^']*)$", re.IGNORECASE)


class MergeTagError(ValueError):
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
class _Slot:
    tag: Tag
    place: Place


class Template:
    """A text split once at its tags; :meth:`render` is a join."""

    def __init__(self, source: str, place: Place) -> None:
        """Raises MergeTagError when a tag cannot be read."""
        self._parts: list[str | _Slot] = []
        for part in split(source):
            if isinstance(part, str):
                self._parts.append(part)
            else:
                self._parts.append(_Slot(part, self._place_here(place, part)))

    def _place_here(self, place: Place, tag: Tag) -> Place:
        before = self._parts[-1] if self._parts else ""
        is_in_link = place is Place.HTML and isinstance(before, str) and _LINK_OPEN.search(before)
        return Place.URL if is_in_link and tag.name not in URL_TAGS else place

    def render(self, values: Mapping[str, str]) -> str:
        """The text for one reader; a missing or empty value becomes the tag's fallback."""
        return "".join(
            part
            if isinstance(part, str)
            else escape(values.get(part.tag.name, "").strip() or part.tag.fallback, part.place)
            for part in self._parts
        )


def split(source: str) -> list[str | Tag]:
    """The source as literal text and tags, in order.

    Raises:
        MergeTagError: braces that are not closed, or a tag that is not of the grammar.
    """
    parts: list[str | Tag] = []
    position = 0
    for match in _TAG.finditer(source):
        parts.append(_literal(source[position : match.start()]))
        parts.append(_read(match.group(1)))
        position = match.end()
    parts.append(_literal(source[position:]))
    return parts


def _literal(text: str) -> str:
    for braces in ("{{", "}}"):
        at = text.find(braces)
        if at >= 0:
            raise MergeTagError(
                f"A merge tag is not complete near “{text[at : at + 30].splitlines()[0]}”. Write it as {{{{ name }}}}."
            )
    return text


def _read(inside: str) -> Tag:
    name, _, fallback = inside.partition("|")
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise MergeTagError(
            f"“{{{{{inside[:40]}}}}}” is not a merge tag. Write {{{{ name }}}} or {{{{ name|there }}}}."
        )
    return Tag(name, _CONTROL.sub(" ", fallback).strip())


def tags_in(source: str) -> list[Tag]:
    """The tags of a source, in order. Raises MergeTagError."""
    return [part for part in split(source) if isinstance(part, Tag)]


def check(source: str, attributes: Iterable[str] = ()) -> None:
    """Checks that every tag can be read and is known.

    Raises:
        MergeTagError: the message names the tag and says which ones there are.
    """
    allowed = [*KNOWN, *sorted(set(attributes))]
    for tag in tags_in(source):
        if tag.name not in allowed:
            known = ", ".join(f"{{{{ {name} }}}}" for name in allowed[:12])
            raise MergeTagError(f"There is no merge tag {{{{ {tag.name} }}}}. You can use {known}.")


def escape(value: str, place: Place) -> str:
    """The value made harmless for the place it lands in; control characters become spaces everywhere."""
    value = _CONTROL.sub(" ", value).strip()
    if place is Place.HTML:
        return html.escape(value)
    if place is Place.URL:
        return quote(value, safe="")
    return value
