"""What is kept of a report beside its files: totals, what they were in the period before, and its charts. Pure.

Stored as JSON in ``ReportRun.summary``::

    {"rows": 120, "rows_before": 100,
     "totals": [{"label": "Sent", "value": 1200, "before": 1000}],
     "charts": [{"title": "Sent", "points": [["1 November", 40], ["2 November", 38]], "note": "The first 60 rows."}],
     "incomplete": "INCOMPLETE: only the first 120 rows, because the report stops at 120 rows.",
     "parts": 1, "not_sent": "it has no rows."}

``rows_before`` and ``before`` are missing where nothing is compared, ``note`` where a chart shows all rows, ``incomplete``
where nothing was left out, ``not_sent`` where it was sent. Files say what ``incomplete`` says on their first page. ``parts``
is how many files there are of each format.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Change:
    """How a value differs from the one before."""

    value: Decimal
    before: Decimal

    @property
    def difference(self) -> Decimal:
        return self.value - self.before

    @property
    def percent(self) -> Decimal | None:
        """None where there was nothing before."""
        return None if self.before == 0 else self.difference / abs(self.before) * 100


def changes(summary: dict[str, Any]) -> dict[str, Change]:
    """Label → change, of the number of rows and of each total that was compared."""
    found = {}
    if summary.get("rows_before") is not None:
        found["Rows"] = Change(Decimal(str(summary["rows"])), Decimal(str(summary["rows_before"])))
    for total in summary.get("totals", []):
        if total.get("before") is not None and total.get("value") is not None:
            found[str(total["label"])] = Change(Decimal(str(total["value"])), Decimal(str(total["before"])))
    return found
