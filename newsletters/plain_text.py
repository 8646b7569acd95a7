"""The text part of a letter, made from its HTML."""

from __future__ import annotations

import re

from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import WhiteSpace
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement

# Code blocks keep their lines; the library forgets that for <code> inside <pre>.
_STYLES = {**STRICT_CSS_PROFILE, "code": HtmlElement(whitespace=WhiteSpace.pre)}
_PARSER = ParserConfig(css=_STYLES, display_links=True, display_images=True)
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_GAPS = re.compile(r"\n{3,}")


def of_html(page: str) -> str:
    """What a reader without HTML gets: links and pictures in brackets, tables in columns."""
    text = _TRAILING.sub("", get_text(page, _PARSER))
    return _GAPS.sub("\n\n", text).strip("\n").rstrip()
