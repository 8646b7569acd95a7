"""Reads the HTML that staff wrote: whether every tag is closed, and nothing is in it that mails cannot have."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from newsletters.source_errors import SourceError

_VOID = frozenset(
    {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)  # fmt: skip
# HTML lets these end by themselves.
_MAY_STAY_OPEN = frozenset(
    {"p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot", "colgroup", "option", "html", "head", "body"}
)
_FORBIDDEN = {
    "script": "Scripts do not run in mails; take <script> out.",
    "form": "Forms do not work in mails. Link to a page with the form instead.",
    "base": "<base> changes where every link leads, the unsubscribe link too; take it out.",
    **dict.fromkeys(
        ("iframe", "object", "embed", "applet", "frameset", "video", "audio"),
        "Mail programs do not show it. Use a picture that links to it instead.",
    ),
}
_PAGE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)


def is_page(source: str) -> bool:
    """Whether it is a whole page, with its own head or body."""
    return _PAGE.search(re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)) is not None


def check(source: str) -> None:
    """Checks what staff wrote.

    Raises:
        SourceError: a tag that is not closed or closes nothing, or one that mails cannot have; with the line.
    """
    reader = _Reader(source)
    reader.feed(source)
    if reader.rawdata.strip():
        raise SourceError("The tag that begins here is never closed with >.", line=reader.getpos()[0])
    reader.close()
    for name, line in reversed(reader.open):
        if name not in _MAY_STAY_OPEN:
            raise SourceError(f"<{name}> is never closed. Write </{name}> where it ends.", line=line)


class _Reader(HTMLParser):
    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.open: list[tuple[str, int]] = []
        self._unclosed(source)

    def _unclosed(self, source: str) -> None:
        """Comments and styles that swallow the rest of the letter, the unsubscribe link with it."""
        for begin, end in (("<!--", "-->"), ("<style", "</style"), ("<title", "</title"), ("<textarea", "</textarea")):
            at = source.lower().rfind(begin)
            if at >= 0 and source.lower().find(end, at) < 0:
                raise SourceError(f"“{begin}” is never closed with “{end}”.", line=source.count("\n", 0, at) + 1)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        if tag in _FORBIDDEN:
            raise SourceError(f"<{tag}>: {_FORBIDDEN[tag]}", line=line)
        self._check_link(tag, dict(attrs), line)
        for name, _ in attrs:
            if name.startswith("on"):
                raise SourceError(f"{name}=… is a script, which does not run in mails; take it out.", line=line)
        if tag not in _VOID:
            self.open.append((tag, line))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def _check_link(self, tag: str, attributes: dict[str, str | None], line: int) -> None:
        if tag == "link":
            raise SourceError(
                "<link> loads something from elsewhere, which mails do not. Put the rules into <style>.", line=line
            )
        if tag == "meta" and (attributes.get("http-equiv") or "").lower() == "refresh":
            raise SourceError("A mail cannot lead on to another page by itself; take <meta> out.", line=line)
        for name in ("href", "src"):
            value = "".join((attributes.get(name) or "").split()).lower()
            if value.startswith(("javascript:", "vbscript:", "data:text")):
                raise SourceError(f"{name}=… holds a script. Write an address that begins with https://.", line=line)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        for place in range(len(self.open) - 1, -1, -1):
            name, line = self.open[place]
            if name == tag:
                del self.open[place:]
                return
            if name not in _MAY_STAY_OPEN:
                raise SourceError(
                    f"</{tag}> comes before <{name}> of line {line} is closed. Write </{name}> first.",
                    line=self.getpos()[0],
                )
        if tag not in ("p", "br"):
            raise SourceError(f"</{tag}> closes nothing: there is no <{tag}> before it.", line=self.getpos()[0])
