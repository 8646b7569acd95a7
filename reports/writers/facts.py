"""What a file says about itself, line by line, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reports import figures
from reports.writers.writer import About
from runs import words


def lines(about: About, summary: Mapping[str, Any], row_count: int) -> list[tuple[str, str]]:
    """(name, value): title, period, zone, when it was made, rows and totals with what they were before."""
    told = [("Report", about.title)]
    if summary.get("incomplete"):
        told.append(("INCOMPLETE", str(summary["incomplete"])))
    told += [("Period", about.period), ("Times are those of", about.zone), ("Made", made_at(about))]
    counted = figures.of(summary) or [figures.Figure("Rows", row_count, None)]
    for figure in counted:
        told.append((figure.label, f"{figure.words} ({figure.change})" if figure.change else figure.words))
    return told


def made_at(about: About) -> str:
    """When it was made, on the clock of the report."""
    return words.local(datetime.fromtimestamp(int(about.made_at.timestamp()), about.made_at.tzinfo), about.zone)
