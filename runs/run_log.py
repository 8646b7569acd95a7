"""A run's log lines as its page shows them: by level, by words, the newest first to be fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from django.db.models import QuerySet
from django.http import QueryDict

from runs.models import Run, RunEvent

SHOWN = 200
LEVELS = [("", "All lines"), ("warning", "Warnings and errors"), ("error", "Errors only")]
_AT_LEAST = {"warning": (RunEvent.Level.WARNING, RunEvent.Level.ERROR), "error": (RunEvent.Level.ERROR,)}


@dataclass(frozen=True)
class LogFilter:
    """Which lines somebody wants to see."""

    level: str = ""
    text: str = ""

    @classmethod
    def of(cls, asked: QueryDict) -> LogFilter:
        """What the address says; anything odd in it asks for all lines."""
        level = asked.get("level", "")
        return cls(level if level in _AT_LEAST else "", asked.get("text", "").replace("\x00", "").strip()[:100])

    @property
    def is_set(self) -> bool:
        return bool(self.level or self.text)

    def lines(self, run: Run) -> QuerySet[RunEvent]:
        """The run's lines that it lets through."""
        lines = RunEvent.objects.filter(run=run)
        if self.level:
            lines = lines.filter(level__in=_AT_LEAST[self.level])
        return lines.filter(message__icontains=self.text) if self.text else lines


@dataclass(frozen=True)
class Tail:
    """Some lines in their order, and what lies beyond them."""

    lines: list[RunEvent]
    earlier_than: int | None = None
    """The number to ask for earlier lines with; None when there are none."""
    last_id: int = 0
    """Newer lines are those beyond this number."""


def tail(run: Run, wanted: LogFilter, *, before: int | None = None) -> Tail:
    """The newest lines, or those before one."""
    lines = wanted.lines(run)
    if before is not None:
        lines = lines.filter(pk__lt=before)
    newest = list(lines.order_by("-id")[: SHOWN + 1])
    shown = newest[:SHOWN][::-1]
    more = len(newest) > SHOWN
    return Tail(shown, shown[0].pk if more else None, shown[-1].pk if shown else 0)


def since(run: Run, wanted: LogFilter, last_id: int) -> Tail:
    """The lines that came after this one; of very many only the newest."""
    newest = list(wanted.lines(run).filter(pk__gt=last_id).order_by("-id")[:SHOWN])[::-1]
    return Tail(newest, last_id=newest[-1].pk if newest else last_id)


def as_text(run: Run, zone: tzinfo) -> Iterator[str]:
    """All lines, for a file; their times on the clock of the zone, each with its distance from UTC."""
    for event in RunEvent.objects.filter(run=run).order_by("id").iterator(chunk_size=2000):
        yield f"{event.at.astimezone(zone).isoformat()} {event.level} {event.message}\n"
