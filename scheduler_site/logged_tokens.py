"""Keeps the keys in the links of mails out of our logs: who reads a log must not get what a mail's reader gets."""

from __future__ import annotations

import logging
import re
from typing import Any

_TOKEN = re.compile(
    r"/((?:reports/)?(?:get|file|leave|unsubscribe|confirm|preferences|new-address|my-data|erase|view|calendar))/[^/\s?#]{16,}"
)


def hide(text: str) -> str:
    """The same text, with "…" for every such key."""
    return _TOKEN.sub(r"/\1/…", text)


class HideTokens(logging.Filter):
    """Changes the words of a line, and lets every line through."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg = hide(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_hidden(one) for one in record.args)
        return True


def _hidden(argument: Any) -> Any:
    return hide(argument) if isinstance(argument, str) else argument
