"""The links of a finished letter: which there are, and how they are counted."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from newsletters import mergetags

MAX_URL = 2000
"""Longer addresses are mailed as they are: the table of links cannot keep them."""

_LINK = re.compile(r"<(?:a|area)\b(?:[^>\"]|\"[^\"]*\")*>", re.IGNORECASE)
_HREF = re.compile(r"(\shref=\")([^\"]*)(\")", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b(?:[^>\"]|\"[^\"]*\")*>", re.IGNORECASE)
_ALT = re.compile(r"\salt=\"[^\"]*[^\"\s][^\"]*\"", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def addresses(letter: str) -> list[str]:
    """Where the links of an HTML letter lead, each once, in order; links of ours and of each reader are left out."""
    hidden = mergetags.Hidden()
    links = _LINK.findall(_COMMENT.sub("", hidden.hide(letter)))
    found = [html.unescape(match.group(2)).strip() for link in links if (match := _HREF.search(link))]
    return list(dict.fromkeys(url for url in found if not hidden.is_in(url)))


def counted(letter: str, click_url: Callable[[int], str]) -> tuple[str, tuple[str, ...]]:
    """The letter with each distinct http(s) link replaced by ``click_url(n)``, n from 1; and what n stands for.

    A link that holds a merge tag leads each reader somewhere else: it stays as it is, as do ours, mailto: and anchors.
    """
    numbers: dict[str, int] = {}
    hidden = mergetags.Hidden()

    def replace(match: re.Match[str]) -> str:
        url = html.unescape(match.group(2)).strip()
        if not is_web(url) or hidden.is_in(url) or len(url) > MAX_URL:
            return match.group(0)
        number = numbers.setdefault(url, len(numbers) + 1)
        return f"{match.group(1)}{html.escape(click_url(number))}{match.group(3)}"

    rewritten = _LINK.sub(lambda link: _HREF.sub(replace, link.group(0), count=1), hidden.hide(letter))
    return hidden.show(rewritten), tuple(numbers)


def is_web(url: str) -> bool:
    """Whether an address is one of the web."""
    return url.lower().startswith(("http://", "https://"))


def images_without_words(letter: str) -> int:
    """How many pictures have no description, or an empty one."""
    return sum(1 for image in _IMAGE.findall(_COMMENT.sub("", letter)) if not _ALT.search(image))


def image_addresses(letter: str) -> list[str]:
    """Where the pictures come from, each once."""
    found = (re.search(r"\ssrc=\"([^\"]*)\"", image) for image in _IMAGE.findall(_COMMENT.sub("", letter)))
    return list(dict.fromkeys(html.unescape(match.group(1)) for match in found if match))
