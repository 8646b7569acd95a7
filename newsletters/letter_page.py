"""Puts a text into its layout: our own, or one that staff wrote in HTML or MJML; the footer is always in it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from newsletters import html_source, mergetags, mjml
from newsletters.source_errors import SourceError

FOOTER_BEGIN, FOOTER_END = "<!--footer-->", "<!--/footer-->"
"""Marks by which the archive and the text part find the footer, which is made for mails."""

_OWN = Path(__file__).with_name("layout.html").read_text(encoding="utf-8")
_TEXT = "<mj-text{style}>{word}</mj-text>"
_SECTION = f'<mj-section padding="0"><mj-column>{_TEXT}</mj-column></mj-section>'
_TEXT_STYLE = ' font-family="Helvetica, Arial, sans-serif" font-size="16px" line-height="1.6"'
_FOOTER_STYLE = (
    ' align="center" font-family="Helvetica, Arial, sans-serif" font-size="13px" line-height="1.5" color="#5d6168"'
)
_PLACE = re.compile(r"\{\{\s*(content|footer)\s*(?:\|[^{}]*)?\}\}")
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_BODY_BEGIN = re.compile(r"<body\b(?:[^>\"]|\"[^\"]*\")*>", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """What stands around the text: HTML or MJML with ``{{ content }}``, and ``{{ footer }}`` where it wants it."""

    source: str
    format: str


@dataclass(frozen=True)
class Pieces:
    """What goes into a page, its tags hidden already."""

    body: str
    """HTML, or MJML where ``is_mjml``."""
    footer: str
    title: str
    is_mjml: bool = False


def check_layout(layout: Layout) -> None:
    """Checks a layout by itself.

    Raises:
        SourceError: broken HTML or MJML, or a place for the text that is missing or there twice; with the line.
    """
    for place in ("content", "footer"):
        found = len(re.findall(rf"\{{\{{\s*{place}\s*\}}\}}", layout.source))
        if found > 1:
            raise SourceError(f"{{{{ {place} }}}} is there {found} times; once is enough.", field="source")
        if not found and place == "content":
            raise SourceError("Write {{ content }} where the text of the letter goes.", field="source")
    try:
        page(Pieces("<p>Text</p>", "<p>Footer</p>", "Title"), layout, mergetags.Hidden())
    except SourceError as error:
        raise error.at("source") from None


def page(pieces: Pieces, layout: Layout | None, hidden: mergetags.Hidden) -> str:
    """The whole letter as one HTML page, not yet inlined.

    The text must have been checked by itself: what is found wrong here is the layout's.

    Raises:
        SourceError: the layout is broken, or does not fit the text.
    """
    footer = f"{FOOTER_BEGIN}{pieces.footer}{FOOTER_END}"
    if layout is None:
        if pieces.is_mjml:
            return _mjml_page(mjml.document(pieces.body), {}, footer, hidden)
        if html_source.is_page(pieces.body):
            return _with_footer(pieces.body, footer)
        return _own_page(pieces, footer)
    try:
        return _in_layout(pieces, layout, footer, hidden)
    except SourceError as error:
        raise error.at("template") from None


def _in_layout(pieces: Pieces, layout: Layout, footer: str, hidden: mergetags.Hidden) -> str:
    source = _hidden_layout(layout, hidden)
    if layout.format == "mjml":
        return _in_mjml(pieces, source, footer, hidden)
    if pieces.is_mjml:
        raise SourceError("An MJML text needs an MJML layout, or none at all.")
    if html_source.is_page(pieces.body):
        raise SourceError(_TWO_PAGES)
    html_source.check(source)
    return _with_footer(_placed(source, {"content": pieces.body}), footer)


_TWO_PAGES = "The text is a whole page by itself, and so is the layout. Choose no layout, or leave only the text."


def insert_at_top(letter: str, piece: str) -> str:
    """The page with something at the very beginning of what it shows."""
    begin = _BODY_BEGIN.search(letter)
    at = begin.end() if begin else 0
    return letter[:at] + piece + letter[at:]


def _own_page(pieces: Pieces, footer: str) -> str:
    shown = _OWN
    for mark, value in (
        ("%TITLE%", html.escape(pieces.title)),
        ("%MASTHEAD%", html.escape(pieces.title)),
        ("%FOOTER%", footer),
        ("%BODY%", pieces.body),  # last: nothing that staff wrote is looked at for marks
    ):
        shown = shown.replace(mark, value, 1)
    return shown


def _hidden_layout(layout: Layout, hidden: mergetags.Hidden) -> str:
    """The layout with its merge tags hidden, apart from the two places."""
    parts = mergetags.split(layout.source)
    return "".join(
        part if isinstance(part, str) else str(part) if part.name in ("content", "footer") else hidden.word(str(part))
        for part in parts
    )


def _placed(source: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda match: values.get(match.group(1), match.group(0)), source)


def _with_footer(source: str, footer: str) -> str:
    """A page of staff's own: a footer stands where they want it, and otherwise at the end."""
    if not html_source.is_page(source):
        source = f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>{source}</body></html>'
    if any(match.group(1) == "footer" for match in _PLACE.finditer(source)):
        return _placed(source, {"footer": footer})
    block = (
        f'<div style="font: 14px/1.5 Helvetica, Arial, sans-serif; padding: 20px; text-align: center">{footer}</div>'
    )
    end = [match.start() for match in _BODY_END.finditer(source)]
    at = end[-1] if end else len(source)
    return source[:at] + block + source[at:]


def _in_mjml(pieces: Pieces, source: str, footer: str, hidden: mergetags.Hidden) -> str:
    if pieces.is_mjml:
        if mjml.is_document(pieces.body):
            raise SourceError(_TWO_PAGES)
        return _mjml_page(_placed(mjml.document(source), {"content": pieces.body}), {}, footer, hidden)
    if html_source.is_page(pieces.body):
        raise SourceError(_TWO_PAGES)
    # The text goes in after MJML was read: Markdown's and staff's HTML need not be as strict as MJML is.
    word = hidden.word(pieces.body)
    whole = _fitted(mjml.document(source), "content", word, _TEXT_STYLE)
    return _mjml_page(whole, {word: pieces.body}, footer, hidden)


def _mjml_page(source: str, values: dict[str, str], footer: str, hidden: mergetags.Hidden) -> str:
    word = hidden.word(footer)
    placed = _fitted(source, "footer", word, _FOOTER_STYLE)
    if placed == source:
        at = source.rfind("</mj-body>")
        if at < 0:
            mjml.check(source)
            raise SourceError("The MJML has no <mj-body>.")
        placed = source[:at] + _SECTION.format(style=_FOOTER_STYLE, word=word) + source[at:]
    mjml.check(placed)
    made = mjml.to_html(placed)
    for stands_in, value in {word: footer, **values}.items():
        if made.find(stands_in) <= made.find("<body"):
            raise SourceError("The layout shows a text in a place where mail programs never do. Put it into <mj-text>.")
        made = made.replace(stands_in, value, 1)
    return made


def _fitted(source: str, place: str, word: str, style: str) -> str:
    """MJML with the word at its place: within a text as it is, between sections as a section of its own."""
    match = next((found for found in _PLACE.finditer(source) if found.group(1) == place), None)
    if match is None:
        return source
    around = mjml.open_at(source, match.start())
    piece = word
    if not mjml.holds_html(around):
        piece = (_TEXT if around[-1:] == ["mj-column"] else _SECTION).format(style=style, word=word)
    return source[: match.start()] + piece + source[match.end() :]
