"""The journal of a hold: which mail's final dot is about to be sent, and what the server said.

A file of its own, written before and after each dot without buffering: what was written survives ``kill -9`` of the
process (not a power cut). It holds numbers of deliveries and no address.

It is the holder's last fence as well: whoever settles a hold while its process may live ends the journal first and reads
it then. A mail that was begun before is in it, and the next one is not begun any more.
"""

from __future__ import annotations

import logging
import os
from enum import Enum
from pathlib import Path

from django.conf import settings

from newsletters.smtp_replies import ServerTrouble
from runs.ledger import LeaseLost

logger = logging.getLogger(__name__)


class Word(Enum):
    """The last word about a delivery."""

    BEGUN = b"T"
    """The dot was about to be sent; no answer is known."""
    TAKEN = b"S"
    TURNED_DOWN = b"N"


END = b"E\n"
"""Written by somebody else."""


class Journal:
    """Append-only; :meth:`begin` returns when the line is with the operating system."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)

    def begin(self, delivery_id: int) -> None:
        """Before the final dot, which must not be sent when this raises OSError, or LeaseLost: somebody ended it."""
        self._write(Word.BEGUN, delivery_id)
        if os.fstat(self._file).st_size != self._size:
            raise LeaseLost

    def settle(self, delivery_id: int, *, is_taken: bool) -> None:
        """After the answer. Raises OSError."""
        self._write(Word.TAKEN if is_taken else Word.TURNED_DOWN, delivery_id)

    def close(self) -> None:
        """The file stays for whoever settles the hold."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, word: Word, delivery_id: int) -> None:
        line = b"%s%d\n" % (word.value, delivery_id)
        if os.write(self._file, line) != len(line):  # a disk that is full takes a part
            raise OSError(f"The journal {self._path} takes no more.")
        self._size += len(line)


def trouble(error: OSError) -> ServerTrouble:
    """Why nothing is sent where nothing can be written down, in words."""
    return ServerTrouble(f"What is sent cannot be written down here, so nothing is sent: {error}.")


def path(issue_id: int, fence: int) -> Path:
    """Where the journal of one hold is kept on this computer."""
    return Path(settings.SENDING_JOURNALS) / f"{issue_id}-{fence}"


def end(issue_id: int, fence: int) -> bool:
    """Lets its holder begin nothing more; whether that is certain. Where there is no journal, there is nothing to end."""
    try:
        file = os.open(path(issue_id, fence), os.O_WRONLY | os.O_APPEND)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    try:
        return os.write(file, END) == len(END)
    except OSError:
        return False
    finally:
        os.close(file)


def read(issue_id: int, fence: int, wanted: set[int]) -> dict[int, Word] | None:
    """The last word about each of these deliveries; None when there is no such journal here."""
    words = {word.value: word for word in Word}
    found: dict[int, Word] = {}
    is_over = False
    try:
        with path(issue_id, fence).open("rb") as lines:
            for line in lines:
                is_over = is_over or line.endswith(END)
                # A line without an end was cut off in the middle: its dot was never sent.
                if line.endswith(b"\n") and line[:1] in words and line[1:-1].isdigit():
                    number = int(line[1:-1])
                    if number in wanted and not (is_over and words[line[:1]] is Word.BEGUN):  # it was not sent
                        found[number] = words[line[:1]]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found


def remove(issue_id: int, fence: int) -> None:
    """Once all that it says is in the database."""
    try:
        path(issue_id, fence).unlink(missing_ok=True)
    except OSError:  # it stays, and says nothing new
        logger.warning("the journal %s cannot be removed", path(issue_id, fence), exc_info=True)
