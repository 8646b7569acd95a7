"""How fast a run gets on and how long it still takes, in words; says that it does not know when it does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

TOO_SOON = timedelta(seconds=5)
"""Before this a rate would be a guess."""


@dataclass(frozen=True)
class Mark:
    """How much was done at one moment."""

    at: datetime
    done: int

    def __str__(self) -> str:
        return f"{self.done}@{self.at.isoformat()}"

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """The mark that ``str()`` wrote; None for anything else."""
        done, _, moment = text.partition("@")
        try:
            at = datetime.fromisoformat(moment)
        except ValueError:
            return None
        return cls(at, int(done)) if done.isascii() and done.isdigit() and len(done) < 19 and at.tzinfo else None


@dataclass(frozen=True)
class Pace:
    """How far a run is."""

    done: int
    total: int | None
    unit: str
    per_second: float | None
    """None while nobody can tell."""

    @property
    def percent(self) -> int | None:
        return min(100, self.done * 100 // self.total) if self.total else None

    @property
    def amount(self) -> str:
        """ "418,200 of 1,000,000 mails"."""
        of_all = f"{self.done:,} of {self.total:,}" if self.total else f"{self.done:,}"
        return f"{of_all} {self.unit}".strip()

    @property
    def rate(self) -> str:
        """ "5,100 a minute"."""
        if not self.per_second:
            return ""
        for size, name in ((60, "minute"), (3600, "hour")):
            if self.per_second * size >= 1:
                return f"{round(self.per_second * size):,} a{'n' if name == 'hour' else ''} {name}"
        return "less than one an hour"

    @property
    def left(self) -> str:
        """ "about 1 h 54 min left"; empty while nobody can tell."""
        if not self.per_second or not self.total or self.done >= self.total:
            return ""
        return f"about {roughly((self.total - self.done) / self.per_second)} left"

    @property
    def in_words(self) -> str:
        """ "418,200 of 1,000,000 mails · 5,100 a minute · about 1 h 54 min left"."""
        return " · ".join(part for part in (self.amount, self.rate, self.left) if part)


def first_mark(started_at: datetime | None, attempt: int) -> Mark | None:
    """From where the rate counts: the start; of a later attempt, which goes on where another stopped, nothing tells."""
    return Mark(started_at, 0) if started_at is not None and attempt < 2 else None


def pace(done: int, total: int | None, unit: str, *, start: Mark | None, now: datetime) -> Pace:
    """The pace since ``start``; without a rate when nothing is known of it yet."""
    per_second = None
    if start is not None and now - start.at >= TOO_SOON and done > start.done:
        per_second = (done - start.done) / (now - start.at).total_seconds()
    return Pace(done, total, unit, per_second)


def roughly(seconds: float) -> str:
    """ "under a minute", "7 min", "1 h 54 min", "3 days 4 h"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "under a minute"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} day{'' if days == 1 else 's'}{f' {hours} h' if hours else ''}"
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)
