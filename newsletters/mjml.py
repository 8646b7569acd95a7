"""MJML to HTML. The library takes unknown tags and stray text in silence, so we read the source first, line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import mrml

from newsletters.source_errors import SourceError

_HOLDS_HTML = frozenset(
    {"mj-text", "mj-button", "mj-table", "mj-raw", "mj-navbar-link", "mj-social-element", "mj-accordion-title",
     "mj-accordion-text", "mj-title", "mj-preview"}
)  # fmt: skip
_STRUCTURE = frozenset(
    {"mjml", "mj-head", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint", "mj-font", "mj-style", "mj-body",
     "mj-accordion", "mj-accordion-element", "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider",
     "mj-group", "mj-hero", "mj-image", "mj-navbar", "mj-section", "mj-social", "mj-spacer", "mj-wrapper"}
)  # fmt: skip
KNOWN = _HOLDS_HTML | _STRUCTURE
_VOID = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_FORBIDDEN = frozenset({"script", "iframe", "object", "embed", "applet", "base", "form"})

# An attribute's value holds no "<": a forgotten quote is then found where it is, and not at the end of the file.
_TAG = re.compile(r"""<(/?)([A-Za-z][\w:-]*)((?:[^<>"']|"[^"<]*"|'[^'<]*')*?)(/?)>""")
_DOCUMENT = re.compile(r"\s*(?:<!--.*?-->\s*)*<mjml[\s>]", re.DOTALL)
_POSITION = re.compile(r" at position (\d+):(\d+)")
# Without fonts: the library would have every reader's mail program ask Google for them.
_RENDERING = mrml.RenderOptions(fonts={})


@dataclass
class _Reading:
    """How far the source has been read."""

    source: str
    open: list[tuple[str, int]] = field(default_factory=list)
    """The tags that are open, and the position of each."""

    def line(self, position: int) -> int:
        return self.source.count("\n", 0, position) + 1

    def error(self, words: str, position: int) -> SourceError:
        return SourceError(words, line=self.line(position))

    @property
    def holds_html(self) -> bool:
        return any(name in _HOLDS_HTML for name, _ in self.open)


def is_document(source: str) -> bool:
    """Whether it is a whole MJML document, not a part to be put into one."""
    return _DOCUMENT.match(source) is not None


def document(source: str) -> str:
    """The source as a whole document, on the same lines."""
    return source if is_document(source) else f"<mjml><mj-body>{source}</mj-body></mjml>"


def check(source: str) -> None:
    """Checks a document or a part of one.

    Raises:
        SourceError: an unknown or unclosed tag, text where none is shown, an include; with the line.
    """
    reading = _Reading(source)
    position = 0
    while (start := source.find("<", position)) >= 0:
        _check_text(reading, position, start)
        position = _read_markup(reading, start)
    _check_text(reading, position, len(source))
    if reading.open:
        name, at = reading.open[-1]
        raise reading.error(f"<{name}> is never closed. Write </{name}> where it ends.", at)


def _read_markup(reading: _Reading, start: int) -> int:
    """Reads what begins with "<" and returns where it ends."""
    source = reading.source
    if source.startswith("<!--", start):
        end = source.find("-->", start)
        if end < 0:
            raise reading.error("A comment that begins with <!-- is never closed with -->.", start)
        return end + 3
    match = _TAG.match(source, start)
    if match is None:
        near = source[start : start + 30].splitlines()[0]
        raise reading.error(
            f"“{near}” is not a complete tag: a quote or > is missing. Write &lt; for the sign <.", start
        )
    slash, name, _, is_empty = match.groups()
    if slash:
        _close(reading, name, start)
        return match.end()
    _check_tag(reading, name, start)
    if name == "mj-style" and not is_empty:
        end = source.find("</mj-style>", match.end())
        if end < 0:
            raise reading.error("<mj-style> is never closed. Write </mj-style> where it ends.", start)
        return end + len("</mj-style>")
    if not is_empty and name not in _VOID:
        reading.open.append((name, start))
    return match.end()


def _check_tag(reading: _Reading, name: str, start: int) -> None:
    if name == "mj-include":
        raise reading.error("<mj-include> cannot be used: everything a letter needs is in its own text.", start)
    if name.lower() in _FORBIDDEN:
        raise reading.error(f"<{name}> does not work in mails and cannot be used.", start)
    if name.lower().startswith("mj") and name not in KNOWN:
        raise reading.error(f"There is no MJML tag <{name}>.", start)
    if name in KNOWN and reading.holds_html:
        raise reading.error(f"<{name}> cannot stand within <{reading.open[-1][0]}>.", start)
    if name not in KNOWN and not reading.holds_html:
        raise reading.error(f"<{name}> is HTML and stands outside of a text. Put it into <mj-text>.", start)


def _close(reading: _Reading, name: str, start: int) -> None:
    if not reading.open:
        raise reading.error(f"</{name}> closes nothing: there is no <{name}> before it.", start)
    opened, at = reading.open[-1]
    if opened != name:
        raise reading.error(
            f"</{name}> comes before <{opened}> of line {reading.line(at)} is closed. Write </{opened}> first.", start
        )
    reading.open.pop()


def _check_text(reading: _Reading, start: int, end: int) -> None:
    words = reading.source[start:end]
    if words.strip() and not reading.holds_html:
        begin = start + len(words) - len(words.lstrip())
        near = words.strip().splitlines()[0][:30]
        raise reading.error(f"“{near}” stands outside of a text and would not be shown. Put it into <mj-text>.", begin)


def open_at(source: str, position: int) -> list[str]:
    """The tags that are open at a place, the outermost first; for a source that is in order."""
    names: list[str] = []
    for slash, name, _, is_empty in _TAG.findall(source[:position]):
        if slash:
            names = names[: len(names) - names[::-1].index(name) - 1] if name in names else names
        elif not is_empty and name not in _VOID:
            names.append(name)
    return names


def holds_html(names: list[str]) -> bool:
    """Whether HTML may stand within these tags."""
    return any(name in _HOLDS_HTML for name in names)


def to_html(source: str) -> str:
    """The document as HTML. Call :func:`check` first.

    Raises:
        SourceError: the library cannot read it.
    """
    try:
        # No loader of includes is given: nothing is ever read from disk or from elsewhere.
        return str(mrml.to_html(source, render_options=_RENDERING).content)
    except (OSError, ValueError) as error:
        found = _POSITION.search(str(error))
        line = source.count("\n", 0, int(found.group(1))) + 1 if found else 0
        words = _POSITION.sub("", str(error)).removesuffix(" in root template")
        raise SourceError(f"The MJML cannot be read ({words}).", line=line) from error
