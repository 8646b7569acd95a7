"""A letter as a web page may show it: only harmless tags and styles, without what is meant for mail programs."""

from __future__ import annotations

import re

import nh3

from newsletters import letter_page

_FOOTER = re.compile(f"{letter_page.FOOTER_BEGIN}.*?{letter_page.FOOTER_END}", re.DOTALL)
_PREHEADER = re.compile("<!--preheader-->.*?<!--/preheader-->", re.DOTALL)
_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd", "del", "div", "dl",
    "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li",
    "mark", "ol", "p", "pre", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "class"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    **{
        cell: {"colspan", "rowspan", "width", "height", "valign", "bgcolor", "scope", "role"}
        for cell in ("td", "th", "tr", "table")
    },
}
_STYLES = {
    "background", "background-color", "border", "border-bottom", "border-collapse", "border-left", "border-radius",
    "border-right", "border-spacing", "border-top", "color", "direction", "display", "font", "font-family",
    "font-size", "font-style", "font-weight", "height", "letter-spacing", "line-height", "list-style", "margin",
    "margin-bottom", "margin-left", "margin-right", "margin-top", "max-width", "min-width", "padding",
    "padding-bottom", "padding-left", "padding-right", "padding-top", "text-align", "text-decoration",
    "text-transform", "vertical-align", "white-space", "width", "word-break",
}  # fmt: skip


def for_web(letter: str) -> str:
    """What stands in a letter's body as harmless HTML, to be put into a page of ours.

    Without scripts, forms, style sheets and anything that lays itself over the page; without preview line and footer,
    whose links belong to one reader. Styles of single elements stay: the page's policy must allow them to be seen.
    """
    return nh3.clean(
        without_mail_parts(letter),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        filter_style_properties=_STYLES,
        clean_content_tags={"script", "style", "title", "head"},
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    ).strip()


def without_mail_parts(letter: str) -> str:
    """The page without preview line and footer."""
    return _PREHEADER.sub("", _FOOTER.sub("", letter))
