"""From what staff wrote to what is mailed: one HTML page with its CSS inlined, and a text part, frozen once."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import css_inline
from markdown_it import MarkdownIt

from newsletters import html_source, letter_links, letter_page, mergetags, mjml, plain_text, web_letter
from newsletters.letter_page import Layout as Layout
from newsletters.source_errors import SourceError as SourceError

MAX_BODY_CHARACTERS = 200_000
CLIPPED_AT_BYTES = 102 * 1024
"""Gmail cuts off what is longer, and the unsubscribe link with it."""

# Raw HTML stays text: what staff paste can then never break the layout or run in a reader's browser.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
# Without load_remote_stylesheets=False, css-inline would fetch any stylesheet that a letter names: a request from
# inside our network. MJML keeps its style sheet, which phones need; ours leaves only the @media rules.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)
_MJML_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=True)
_PREVIEW_CHARACTERS = 140
"""Mail programs show about this much beside the subject; what the preview line leaves free must not be the text."""

for_web = web_letter.for_web


@dataclass(frozen=True)
class Source:
    """What staff wrote for one letter, and what belongs into it."""

    subject: str
    body: str
    title: str
    """What stands above the text in our own layout: the newsletter's name."""
    list_names: Sequence[str] = ()
    format: str = "markdown"
    template: Layout | None = None
    preheader: str = ""
    postal_address: str = ""
    click_url: Callable[[int], str] | None = None
    """Where given, each distinct link leads to ``click_url(n)`` instead, n from 1; see :attr:`Frozen.links`."""


@dataclass(frozen=True)
class Frozen:
    """The parts of one issue with their merge tags still in place; they do not change after this."""

    subject: str
    html: str
    text: str
    links: tuple[str, ...] = ()
    """What the counted links stand for, in order; empty where nothing is counted."""

    @property
    def sha256(self) -> str:
        """Fingerprint of the three parts (hex)."""
        return hashlib.sha256("\0".join((self.subject, self.html, self.text)).encode()).hexdigest()


@dataclass(frozen=True)
class Letter:
    """The parts as one reader gets them."""

    subject: str
    html: str
    text: str

    @property
    def bytes(self) -> int:
        """The size of the HTML part, which mail programs clip by."""
        return len(self.html.encode())


class Parts:
    """Frozen parts made ready to fill in: split once, joined per reader."""

    def __init__(self, frozen: Frozen) -> None:
        self._subject = mergetags.Template(frozen.subject, mergetags.Place.LINE)
        self._html = mergetags.Template(frozen.html, mergetags.Place.HTML)
        self._text = mergetags.Template(frozen.text, mergetags.Place.TEXT)

    def fill(self, values: dict[str, str]) -> Letter:
        """The letter for the reader with these values."""
        return Letter(self._subject.render(values), self._html.render(values), self._text.render(values))


def freeze(source: Source) -> Frozen:
    """Makes the parts of a letter.

    The text part says where each link leads; only the HTML part's links are counted.

    Raises:
        SourceError: a tag that cannot be read, broken HTML or MJML, a text and a layout that do not fit each other;
            it names the field and the line.
    """
    _check_line(source.subject, "subject")
    hidden = mergetags.Hidden()
    preheader = hidden.hide(_check_line(source.preheader, "preheader"))
    body = _body(source, hidden)
    footer = _footer(source)
    pieces = letter_page.Pieces(
        body, hidden.hide(footer.html), _without_tags(source.title), is_mjml=source.format == "mjml"
    )
    page = letter_page.page(pieces, source.template, hidden)
    is_mjml = pieces.is_mjml or (source.template is not None and source.template.format == "mjml")
    inlined = str((_MJML_INLINER if is_mjml else _INLINER).inline(page))
    letter = hidden.show(letter_page.insert_at_top(inlined, _preheader(preheader)))
    links: tuple[str, ...] = ()
    if source.click_url is not None:
        letter, links = letter_links.counted(letter, source.click_url)
    is_own_page = source.template is None and not is_mjml and not html_source.is_page(body)
    text = hidden.show(plain_text.of_html(body if is_own_page else web_letter.without_mail_parts(page)))
    return Frozen(source.subject, letter, f"{text}\n\n-- \n{footer.text}\n", links)


def used_attributes(frozen: Frozen) -> set[str]:
    """The readers' attributes that the parts mention."""
    named = {tag.name for part in (frozen.subject, frozen.html, frozen.text) for tag in mergetags.tags_in(part)}
    return named - set(mergetags.KNOWN)


def _check_line(line: str, field: str) -> str:
    try:
        mergetags.tags_in(line)
    except SourceError as error:
        raise error.at(field) from None
    return line


def _body(source: Source, hidden: mergetags.Hidden) -> str:
    """The text as HTML, or as MJML where it is written in that; its tags hidden."""
    marked = hidden.hide(source.body)
    if source.format == "markdown":
        return str(_MARKDOWN.render(marked))
    if source.format == "mjml":
        mjml.check(marked)
        return marked
    html_source.check(marked)
    return marked


@dataclass(frozen=True)
class _Footer:
    html: str
    text: str


def _footer(source: Source) -> _Footer:
    """Why the reader gets it, who sends it, and how to leave: in both parts, whatever the layout."""
    names = [_without_tags(name) for name in source.list_names]
    lines = [f"You get this mail because you are on the list {_listed(names)}."] if names else []
    lines += [_without_tags(line) for line in source.postal_address.splitlines() if line.strip()]
    ways = (
        ("Unsubscribe", "{{ unsubscribe_url }}"),
        ("Change what you get", "{{ preferences_url }}"),
        ("Read it in a browser", "{{ view_url }}"),
    )
    links = " · ".join(f'<a href="{url}">{words}</a>' for words, url in ways)
    return _Footer(
        "<br>".join([*(html.escape(line, quote=False) for line in lines), links]),
        "\n".join([*lines, *(f"{words}: {url}" for words, url in ways)]),
    )


def _preheader(words: str) -> str:
    """The hidden preview line; after it nothing but blanks, so that no text of the letter is shown beside it."""
    if not words:
        return ""
    blanks = "&#847;&zwnj;&nbsp;" * max(10, _PREVIEW_CHARACTERS - len(words))
    style = "display:none;max-height:0;max-width:0;opacity:0;overflow:hidden;font-size:1px;line-height:1px"
    return f'<!--preheader--><div style="{style}">{html.escape(words)}{blanks}</div><!--/preheader-->'


def _without_tags(name: str) -> str:
    """A name of ours that happens to contain braces is no merge tag."""
    return name.replace("{{", "{ {").replace("}}", "} }")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else ""
