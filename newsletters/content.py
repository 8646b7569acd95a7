"""From what staff wrote to what is mailed: Markdown → HTML with its CSS inlined, and a text part, frozen once."""

from __future__ import annotations

import hashlib
import html
import secrets
from dataclasses import dataclass
from pathlib import Path

import css_inline
from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import WhiteSpace
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement
from markdown_it import MarkdownIt

from newsletters import mergetags

MAX_BODY_CHARACTERS = 200_000

_LAYOUT = Path(__file__).with_name("layout.html").read_text(encoding="utf-8")
# Raw HTML stays text: what staff paste can then never break the layout or run in a reader's browser.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
# Without this, css-inline would fetch any stylesheet that a pasted link names: a request from inside our network.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)
# Code blocks keep their lines; the library forgets that for <code> inside <pre>.
_TEXT_STYLES = {**STRICT_CSS_PROFILE, "code": HtmlElement(whitespace=WhiteSpace.pre)}
_TEXT = ParserConfig(css=_TEXT_STYLES, display_links=True, display_images=True)


@dataclass(frozen=True)
class Frozen:
    """The parts of one issue with their merge tags still in place; they do not change after this."""

    subject: str
    html: str
    text: str

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


class Parts:
    """Frozen parts made ready to fill in: split once, joined per reader."""

    def __init__(self, frozen: Frozen) -> None:
        self._subject = mergetags.Template(frozen.subject, mergetags.Place.LINE)
        self._html = mergetags.Template(frozen.html, mergetags.Place.HTML)
        self._text = mergetags.Template(frozen.text, mergetags.Place.TEXT)

    def fill(self, values: dict[str, str]) -> Letter:
        """The letter for the reader with these values."""
        return Letter(self._subject.render(values), self._html.render(values), self._text.render(values))


def freeze(*, subject: str, body: str, title: str, list_names: list[str]) -> Frozen:
    """Makes the parts from the Markdown source; ``title`` stands above the text, the lists in the footer.

    Raises:
        mergetags.MergeTagError: a tag that cannot be read.
    """
    list_names = [_without_tags(name) for name in list_names]
    marked, tags = _hide_tags(body)
    body_html = _MARKDOWN.render(marked)
    reason_html = (
        f"You get this mail because you are on the list {_listed([html.escape(name) for name in list_names])}."
    )
    page = _LAYOUT
    for mark, value in (
        ("%TITLE%", html.escape(_without_tags(title))),
        ("%MASTHEAD%", html.escape(_without_tags(title))),
        ("%FOOTER%", f'{reason_html}<br><a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a>'),
        ("%BODY%", body_html),  # last: nothing that staff wrote is looked at for marks
    ):
        page = page.replace(mark, value, 1)
    page, tags_in_layout = _hide_tags(page)
    inlined = _show_tags(_show_tags(_INLINER.inline(page), tags_in_layout), tags)
    text = _show_tags(get_text(body_html, _TEXT).strip(), tags)
    reason_text = f"You get this mail because you are on the list {_listed(list_names)}."
    footer = f"{reason_text}\nUnsubscribe: {{{{ unsubscribe_url }}}}"
    return Frozen(subject, inlined, f"{text}\n\n-- \n{footer}\n")


def used_attributes(frozen: Frozen) -> set[str]:
    """The readers' attributes that the parts mention."""
    named = {tag.name for part in (frozen.subject, frozen.html, frozen.text) for tag in mergetags.tags_in(part)}
    return named - set(mergetags.KNOWN)


def _hide_tags(source: str) -> tuple[str, dict[str, str]]:
    """Replaces tags by words of letters and digits, which pass through Markdown, links and HTML unchanged."""
    nonce = secrets.token_hex(6)
    hidden: dict[str, str] = {}
    out = []
    for part in mergetags.split(source):
        if isinstance(part, mergetags.Tag):
            word = f"tag{nonce}n{len(hidden)}z"
            hidden[word] = str(part)
            out.append(word)
        else:
            out.append(part)
    return "".join(out), hidden


def _show_tags(text: str, hidden: dict[str, str]) -> str:
    for word, tag in hidden.items():
        text = text.replace(word, tag)
    return text


def _without_tags(name: str) -> str:
    """A name of ours that happens to contain braces is no merge tag."""
    return name.replace("{{", "{ {").replace("}}", "} }")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}" if names else ""
