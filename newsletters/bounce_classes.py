"""What a refusal says about the address: does not exist, not now, or nothing, because it is about us. Pure.

In doubt a reader is not blamed: an address that is given up wrongly is never written to again.
"""

from __future__ import annotations

import re
from enum import Enum

_CODE = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_VAGUE = re.compile(r"[45]\.0\.\d+|5\.5\.0|5\.4\.1|")
_OURS = re.compile(r"[45]\.7\.\d+|5\.6\.\d+|5\.1\.[78]|5\.2\.3|5\.3\.4")
"""Policy, content, our sender's address, the size of our mail: whatever it is, it is not the reader."""
_OURS_IN_WORDS = re.compile(
    r"\bspam|junk|block(?:ed|ing|list)|black ?list|denylist|reputation|\bdmarc\b|\bspf\b|\bdkim\b|\bpolicy\b|\bbanned\b"
    r"|\brbl\b|dnsbl|virus|not authori[sz]ed|relay(?:ing)? (?:access )?denied|rate limit|too many",
    re.IGNORECASE,
)
_FULL = re.compile(r"\bfull\b|quota|exceed|insufficient (?:system )?storage|out of space", re.IGNORECASE)
_UNKNOWN = re.compile(
    r"unknown (?:user|recipient|address|mailbox|account)|(?:user|recipient|address|mailbox|account) (?:\S+ )?(?:is )?unknown"
    r"|no such (?:user|person|address|mailbox|recipient|account)|(?:does|do|did) ?n[o'’]t exist|doesn't have an? \S+ account"
    r"|invalid (?:recipient|mailbox|address|user)|(?:user|recipient|mailbox|address|account) (?:was )?not found"
    r"|couldn['’]t be found|could not be found|recip(?:ient)?notfound|not a valid (?:user|mailbox|recipient)|no mailbox (?:here )?by that name"
    r"|unrouteable address|550 (?:5\.5\.0 )?(?:requested action not taken: )?mailbox unavailable"
    r"|recipient address rejected: access denied|not listed in (?:domino|public)|no longer (?:with|valid|available|works)",
    re.IGNORECASE,
)


class Kind(Enum):
    """What came back."""

    HARD = "hard"
    """The address does not exist."""
    SOFT = "soft"
    """Not now: full, switched off, unreachable."""
    POLICY = "policy"
    """Refused because of us or of the mail, not of the reader."""
    COMPLAINT = "complaint"
    NOTHING = "nothing"
    """No failure: delayed, delivered, an automatic reply."""


def codes_in(text: str) -> list[str]:
    """The enhanced status codes (RFC 3463) in a server's words; parts of IP addresses are none."""
    return [match[0] for match in _CODE.finditer(text)]


def classify(status: str, text: str) -> tuple[Kind, str]:
    """The class of a final refusal and the code that decided it; the server's own words count for more than a vague code."""
    said = codes_in(text)
    for code in (*said, status):
        if _OURS.fullmatch(code):
            return Kind.POLICY, code
    if _VAGUE.fullmatch(status):
        status = next((code for code in said if not _VAGUE.fullmatch(code)), status or next(iter(said), ""))
    if not _VAGUE.fullmatch(status):
        return _of_code(status), status
    return _of_words(text), status


def _of_code(status: str) -> Kind:
    if status.startswith("5.1."):
        return Kind.HARD
    return Kind.POLICY if status.startswith("5.5.") else Kind.SOFT


def _of_words(text: str) -> Kind:
    if _FULL.search(text):
        return Kind.SOFT
    if _OURS_IN_WORDS.search(text):
        return Kind.POLICY
    return Kind.HARD if _UNKNOWN.search(text) else Kind.SOFT
