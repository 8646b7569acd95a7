"""Hands one mail to the mail server, and says in words what became of it."""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from enum import Enum
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.core.mail import EmailMessage


class Fate(Enum):
    """What became of a mail."""

    SENT = "sent"
    LATER = "later"
    """Not now; it is worth trying again."""
    NEVER = "never"
    """The mail server does not want it, and will not tomorrow."""


@dataclass(frozen=True)
class Answer:
    """How handing over one mail went."""

    fate: Fate
    why: str = ""
    is_server: bool = False
    """It is about the mail server and not about this mail: the next ones would fare the same."""
    may_have_arrived: bool = False
    """The connection broke before the answer came; the mail may be on its way all the same."""


def hand_over(connection: Any, mail: EmailMessage) -> Answer:
    """Sends the mail by a connection that stays open for the next one."""
    try:
        connection.open()
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        connection.close()
        return Answer(Fate.LATER, f"The mail server cannot be reached ({_short(error)}).", is_server=True)
    try:
        connection.send_messages([mail])
    except SoftTimeLimitExceeded:
        raise
    except smtplib.SMTPRecipientsRefused as error:
        code, reply = next(iter(error.recipients.values()))
        return _refused(code, reply)
    except smtplib.SMTPDataError as error:
        return _refused(error.smtp_code, error.smtp_error)
    except smtplib.SMTPResponseException as error:  # the greeting, the sign-in or the sender
        connection.close()
        said = _refused(error.smtp_code, error.smtp_error).why
        return Answer(Fate.LATER, said, is_server=True)
    except (UnicodeError, ValueError) as error:  # an address or a header that no mail can have
        return Answer(Fate.NEVER, f"No mail can be written to this address ({_short(error)}).")
    except Exception as error:
        connection.close()
        words = f"The mail server did not answer ({_short(error)})."
        return Answer(Fate.LATER, words, is_server=True, may_have_arrived=True)
    return Answer(Fate.SENT)


def _refused(code: int, reply: bytes | str) -> Answer:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    words = f"The mail server refused it: {code} {' '.join(text.split())}"
    return Answer(Fate.NEVER if code >= 500 else Fate.LATER, words)


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
