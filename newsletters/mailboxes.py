"""A mailbox by IMAP or POP3, as far as bounces need it: look, take, put aside. Nothing is removed before it was dealt with."""

from __future__ import annotations

import imaplib
import poplib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from newsletters.bounce_reading import MAX_BYTES

TIMEOUT_SECONDS = 60
_WINDOW = 2000
_POP_LINES = 20_000
# RFC 5321 allows 998 characters a line and some write far more; the library's 2,048 would end the session.
poplib._MAXLINE = 1_000_000  # type: ignore[attr-defined]


class MailboxTrouble(Exception):
    """The mailbox cannot be read; the message says why and never holds the password."""


TROUBLE = (OSError, imaplib.IMAP4.error, poplib.error_proto, MailboxTrouble)
"""What goes wrong with the connection, as opposed to with one mail."""


@dataclass(frozen=True)
class Waiting:
    """One mail in the mailbox."""

    name: str
    """Under which number the server knows it."""
    read: Callable[[], bytes]
    """Fetches it, no more than :data:`MAX_BYTES`."""


class Mailbox(Protocol):
    """What both protocols can do."""

    def waiting(self, most: int) -> list[Waiting]:
        """Mails that nobody looked at yet, oldest first."""

    def take(self, mail: Waiting) -> None:
        """Removes a mail that was dealt with, or moves it where the address says so."""

    def leave(self, mail: Waiting, *, is_poison: bool = False) -> None:
        """Leaves a mail for people to look at; it is not read again."""

    def close(self) -> None:
        """Makes what was taken final."""


@contextmanager
def opened(url: str) -> Iterator[Mailbox]:
    """The mailbox at the address, closed at the end.

    Raises:
        MailboxTrouble: it cannot be reached, does not let us in, or the connection ended.
    """
    parts = urlsplit(url)
    where = f"The mailbox at {parts.hostname}"
    try:
        mailbox: Mailbox = _Imap(parts) if parts.scheme.startswith("imap") else _Pop(parts)
        try:
            yield mailbox
        except BaseException:
            with suppress(*TROUBLE):  # what was dealt with is removed all the same, if it can be
                mailbox.close()
            raise
        mailbox.close()
    except ssl.SSLError as error:
        raise MailboxTrouble(f"{where} offers no encryption that can be trusted ({error.reason}).") from error
    except (imaplib.IMAP4.error, poplib.error_proto) as error:
        raise MailboxTrouble(f"{where} answered: {_words(error)}") from error
    except OSError as error:
        raise MailboxTrouble(f"{where} cannot be reached ({error.strerror or error}).") from error


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return " ".join(text.split())[:200] or type(error).__name__


def _must_encrypt(parts: SplitResult) -> bool:
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname != "localhost"


class _Imap:
    """Unread mails of one folder. Dealt with: deleted, or moved to ``?processed=FOLDER``. Others are marked as read."""

    def __init__(self, parts: SplitResult) -> None:
        context = ssl.create_default_context()
        host = parts.hostname or ""
        if parts.scheme == "imaps":
            self._imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                host, parts.port or 993, ssl_context=context, timeout=TIMEOUT_SECONDS
            )
        else:
            self._imap = imaplib.IMAP4(host, parts.port or 143, timeout=TIMEOUT_SECONDS)
            if "STARTTLS" in self._imap.capabilities:
                self._imap.starttls(context)
            elif _must_encrypt(parts):
                raise MailboxTrouble(f"The mailbox at {host} offers no encryption, so no password was sent to it.")
        self._imap.login(unquote(parts.username or ""), unquote(parts.password or ""))
        self._processed = parse_qs(parts.query).get("processed", [""])[0]
        folder = unquote(parts.path.strip("/")) or "INBOX"
        answer, data = self._imap.select(_quoted(folder))
        if answer != "OK":
            raise MailboxTrouble(f"The mailbox at {host} has no folder {folder}.")
        self._count = int(data[0] or 0)
        if self._processed:
            self._imap.create(_quoted(self._processed))  # "exists already" is as good

    def waiting(self, most: int) -> list[Waiting]:
        found: list[bytes] = []
        for first in range(1, self._count + 1, _WINDOW):  # an answer with every number of a huge mailbox is too long
            last = min(first + _WINDOW - 1, self._count)
            _, data = self._imap.uid("SEARCH", f"{first}:{last}", "UNSEEN", "UNDELETED")
            found += (data[0] or b"").split()
            if len(found) >= most:
                break
        return [Waiting(uid.decode(), lambda uid=uid: self._read(uid.decode())) for uid in found[:most]]  # type: ignore[misc]

    def _read(self, uid: str) -> bytes:
        _, data = self._imap.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MAX_BYTES}>)")
        return next((part[1] for part in data if isinstance(part, tuple)), b"")

    def take(self, mail: Waiting) -> None:
        if self._processed:
            answer, _ = self._imap.uid("COPY", mail.name, _quoted(self._processed))
            if answer != "OK":
                raise MailboxTrouble(f"The mail could not be moved to the folder {self._processed}.")
        self._imap.uid("STORE", mail.name, "+FLAGS.SILENT", r"(\Seen \Deleted)")

    def leave(self, mail: Waiting, *, is_poison: bool = False) -> None:
        self._imap.uid("STORE", mail.name, "+FLAGS.SILENT", r"(\Seen \Flagged)" if is_poison else r"(\Seen)")

    def close(self) -> None:
        self._imap.close()  # removes what was marked as deleted
        self._imap.logout()


class _Pop:
    """POP3 knows no marks: what is left stays and is looked at again, so the newest come first in line for a full run."""

    def __init__(self, parts: SplitResult) -> None:
        context = ssl.create_default_context()
        host = parts.hostname or ""
        if parts.scheme == "pop3s":
            self._pop: poplib.POP3 = poplib.POP3_SSL(host, parts.port or 995, context=context, timeout=TIMEOUT_SECONDS)
        else:
            self._pop = poplib.POP3(host, parts.port or 110, timeout=TIMEOUT_SECONDS)
            if "STLS" in self._pop.capa():
                self._pop.stls(context)
            elif _must_encrypt(parts):
                raise MailboxTrouble(f"The mailbox at {host} offers no encryption, so no password was sent to it.")
        self._pop.user(unquote(parts.username or ""))
        self._pop.pass_(unquote(parts.password or ""))

    def waiting(self, most: int) -> list[Waiting]:
        _, lines, _ = self._pop.list()
        sizes = [(int(number), int(size)) for number, size in (line.split()[:2] for line in lines)]
        return [
            Waiting(str(number), lambda number=number, size=size: self._read(number, size))  # type: ignore[misc]
            for number, size in sizes[-most:]
        ]

    def _read(self, number: int, size: int) -> bytes:
        _, lines, _ = self._pop.retr(number) if size <= MAX_BYTES else self._pop.top(number, _POP_LINES)
        return b"\r\n".join(lines)

    def take(self, mail: Waiting) -> None:
        self._pop.dele(int(mail.name))

    def leave(self, mail: Waiting, *, is_poison: bool = False) -> None:
        """It stays as it is."""

    def close(self) -> None:
        self._pop.quit()


def _quoted(folder: str) -> str:
    """A folder's name as a quoted string; IMAP has no line breaks in it."""
    plain = re.sub(r"[\x00-\x1f\x7f]", "", folder).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
