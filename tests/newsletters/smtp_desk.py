"""Whoever the client of many mails sends for, and what a scripted server answers to it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from newsletters.deliveries import Row
from newsletters.smtp import Mail
from newsletters.smtp_pool import Pool
from newsletters.smtp_replies import Fate, Outcome
from tests.newsletters.slow_smtp_server import SlowSmtpServer

PIPELINING = ("PIPELINING", "8BITMIME", "SMTPUTF8")
DATA = b"Subject: News\r\n\r\n" + b"Hello\r\n" * 50
Start = Callable[..., SlowSmtpServer]


class Desk:
    """Whoever the pool sends for; keeps what it is told."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.outcomes: list[tuple[int, Outcome]] = []
        self.slowed = 0
        self.may = True

    def mail_of(self, row: Row) -> Mail:
        return Mail("desk@example.org", row.email, DATA, has_no_dots=True)

    def note(self, row: Row, outcome: Outcome) -> None:
        self.outcomes.append((row.id, outcome))

    def may_send(self) -> bool:
        return self.may

    def slow_down(self) -> None:
        self.slowed += 1

    @property
    def fates(self) -> list[Fate]:
        """In order of the readers."""
        return [outcome.fate for _, outcome in sorted(self.outcomes, key=lambda noted: noted[0])]

    def send(self, mails: int | list[str], *, connections: int = 1, is_strict: bool = True) -> None:
        """Sends until nothing waits. Raises ServerTrouble."""
        addresses = [f"r{number}@example.org" for number in range(mails)] if isinstance(mails, int) else mails
        pool = Pool(self, self.journal, connections=connections, is_strict=is_strict)
        pool.open()
        pool.feed(Row(number, number, address, address, "", {}, 0) for number, address in enumerate(addresses, 1))
        deadline = time.monotonic() + 20
        try:
            while pool.waiting and time.monotonic() < deadline:
                pool.run(0.2)
        finally:
            pool.close()


def once(verb: str, answer: str, *, at: int = 2) -> Callable[[str, str], str]:
    """The script of a server that gives this answer to the command's n-th time, and usual ones otherwise."""
    asked = Counter[str]()

    def reply(command: str, usual: str) -> str:
        asked[word := command.split(" ")[0].upper()] += 1
        return answer if word == verb and asked[word] == at else usual

    return reply


def always(verb: str, answer: str) -> Callable[[str, str], str]:
    return lambda command, usual: answer if command.split(" ")[0].upper() == verb else usual


def in_many_lines(command: str, usual: str) -> str:
    code, text = usual[:3], usual[4:]
    return usual if "\n" in usual else f"{code}-{text}\n{code}-and some more\n{code} {text}"
