"""What each answer of a mail server means: for one mail, for its reader, and for the whole sending. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
LOGIN_CODES = (530, 534, 535, 538)
CLOSING = 421
"""RFC 5321 3.8: the server says it and hangs up."""


@dataclass(frozen=True)
class Reply:
    """A server's answer."""

    code: int
    text: str
    lines: tuple[str, ...] = ()
    """As they came, where there were several: what EHLO offers."""

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463) such as 5.1.1, or empty."""
        match = _ENHANCED.match(self.text)
        return match.group(1) if match else ""

    @property
    def signature(self) -> str:
        """What makes two refusals the same: "550 5.1.1"."""
        return f"{self.code} {self.status}".strip()

    @property
    def asks_to_slow_down(self) -> bool:
        """Whether the server finds us too fast: 421, or a 4.7.x of policy."""
        return self.code == CLOSING or (400 <= self.code < 500 and self.status.startswith("4.7."))

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Fate(Enum):
    """What became of one mail."""

    SENT = "sent"
    LATER = "later"
    """The server asks us to come back (4xx)."""
    REFUSED = "refused"
    """The server will not have this mail for this recipient (5xx)."""
    UNKNOWN = "unknown"
    """Handed over, but the answer never came: nobody knows."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mail, and the answer that says so."""

    fate: Fate
    reply: Reply


class ServerTrouble(Exception):
    """The server is unusable for everybody: no recipient is to blame. The message is in plain words."""

    def __init__(self, words: str, code: str = "") -> None:
        super().__init__(words)
        self.code = code


class Dropped(Exception):
    """The connection ended before the mail was handed over: it was not sent and may be sent again."""

    def __init__(self, words: str, *, is_too_many: bool = False, reply: Reply | None = None) -> None:
        super().__init__(words)
        self.is_too_many = is_too_many
        """It was never open: the server may not want another connection of ours."""
        self.asks_to_slow_down = reply is not None and reply.asks_to_slow_down and not is_too_many


class Unanswered(Exception):
    """The connection ended after the mail was handed over: nobody knows whether it was accepted."""


def judge(server: str, reply: Reply) -> Outcome:
    """4xx is for later; a refusal of policy, login or content concerns everybody; the rest this recipient.

    Raises:
        ServerTrouble: the same for every recipient.
    """
    if reply.code < 500:
        return Outcome(Fate.LATER, reply)
    if reply.code in LOGIN_CODES or reply.status.startswith(("5.7.", "5.6.", "5.3.")):
        raise ServerTrouble(f"The mail server {server} refuses our mail ({reply}).", reply.signature)
    return Outcome(Fate.REFUSED, reply)


def judge_sender(server: str, sender: str, reply: Reply) -> None:
    """The answer to MAIL, which names no recipient yet.

    Raises:
        ServerTrouble: it will not have this sender, or wants a login.
        Dropped: busy; the mail was not handed over.
    """
    if reply.code >= 500:
        if reply.code in LOGIN_CODES:
            judge(server, reply)
        raise ServerTrouble(f"The mail server {server} refuses the sender {sender} ({reply}).", reply.signature)
    if reply.code >= 400:
        raise Dropped(str(reply), reply=reply)
