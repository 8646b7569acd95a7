"""The last thirty days as bars: one grouped query, and the same numbers as a table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.urls import reverse
from django.utils import timezone

from scheduler_site import calendar_days, calendar_past

DAYS = 30
HEIGHT, SLOT, WIDTH = 100, 20, 14
LEAST = 3
"""However few they are, one failure among thousands is seen."""


@dataclass(frozen=True)
class Part:
    """One piece of a day's bar."""

    tone: str
    y: float
    height: float


@dataclass
class Bar:
    """One day."""

    day: date
    succeeded: int
    failed: int
    left_out: int
    x: int
    url: str
    parts: list[Part] = field(default_factory=list)

    @property
    def words(self) -> str:
        if not self.succeeded + self.failed + self.left_out:
            return "nothing ran"
        return f"{self.succeeded:,} succeeded, {self.failed:,} failed, {self.left_out:,} missed or skipped"


@dataclass(frozen=True)
class Chart:
    """The bars from the oldest day to today."""

    bars: list[Bar]

    @property
    def fullest(self) -> int:
        return max(bar.succeeded + bar.failed + bar.left_out for bar in self.bars)

    @property
    def words(self) -> str:
        """All of it in one sentence."""
        succeeded, failed, left_out = (
            sum(getattr(bar, name) for bar in self.bars) for name in ("succeeded", "failed", "left_out")
        )
        return f"In {DAYS} days {succeeded:,} succeeded, {failed:,} failed, {left_out:,} were missed or skipped."


def chart() -> Chart:
    """In the reader's time zone, today last."""
    today = timezone.localdate()
    days = [today - timedelta(days=number) for number in range(DAYS - 1, -1, -1)]
    counts = calendar_past.per_cell(calendar_days.day_edges(days, timezone.get_current_timezone()))
    bars = [_bar(number, day, states) for number, (day, states) in enumerate(zip(days, counts, strict=True))]
    fullest = max(bar.succeeded + bar.failed + bar.left_out for bar in bars)
    for bar in bars:
        _stack(bar, fullest)
    return Chart(bars)


def _bar(number: int, day: date, states: Counter[str]) -> Bar:
    url = reverse("admin:calendar_day", args=[day.year, day.month, day.day])
    left_out = states["missed"] + states["skipped"]
    return Bar(day, states["succeeded"], states["failed"], left_out, number * SLOT + (SLOT - WIDTH) // 2, url)


def _stack(bar: Bar, fullest: int) -> None:
    """Failures on top, where they are seen; heights in proportion, none of them invisible."""
    counts = (("good", bar.succeeded), ("warn", bar.left_out), ("bad", bar.failed))
    heights = {tone: max(LEAST, HEIGHT * count / fullest) for tone, count in counts if count}
    over = max(1.0, sum(heights.values()) / HEIGHT)
    y = float(HEIGHT)
    for tone, height in heights.items():
        height /= over
        y -= height
        bar.parts.append(Part(tone, round(y, 2), round(height, 2)))
