"""Whether a report that was made is also sent, and why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reports.models import Condition, ReportDefinition

ROWS = "Rows"
"""What the number of rows is called among the totals."""


@dataclass(frozen=True)
class Made:
    """What is known of the report once it is made."""

    row_count: int
    content_sha256: str
    before_sha256: str
    """Of the last one of the same report; empty where there is none."""
    totals: Mapping[str, Any]
    """Label → value."""


@dataclass(frozen=True)
class Decision:
    """Sent, or why not; and on which side of the threshold the total is from now on."""

    why_not: str
    """In words that follow "Not sent:"; empty where it is sent."""
    is_past: bool

    @property
    def is_sent(self) -> bool:
        return not self.why_not


def decide(definition: ReportDefinition, made: Made) -> Decision:
    """By what the definition says now."""
    why_not, is_past = "", definition.is_past_threshold
    match definition.condition:
        case Condition.HAS_ROWS:
            why_not = "" if made.row_count else "it has no rows."
        case Condition.NO_ROWS:
            why_not = "it has rows." if made.row_count else ""
        case Condition.CHANGED:
            is_same = made.before_sha256 and made.before_sha256 == made.content_sha256
            why_not = "nothing has changed since the last one." if is_same else ""
        case Condition.THRESHOLD:
            return _at_threshold(definition, made)
    return Decision(why_not, is_past)


def _at_threshold(definition: ReportDefinition, made: Made) -> Decision:
    """Sent once when the total passes the limit, and not again before it was back at where it is armed anew."""
    name, limit, was_past = definition.threshold_of or ROWS, definition.threshold, definition.is_past_threshold
    if limit is None or definition.threshold_is not in ("above", "below"):
        return Decision("its limit is missing. Edit the report and set it.", was_past)
    value = _number(made.row_count if name.lower() == ROWS.lower() else made.totals.get(name))
    if value is None:
        return Decision(f"“{name}” is unknown, because there was nothing to count.", was_past)
    # "below" is "above" in the mirror.
    sign = 1 if definition.threshold_is == "above" else -1
    back = limit if definition.rearm is None else definition.rearm
    passed, is_back = sign * value > sign * limit, sign * value <= sign * back
    said = f"“{name}” is {_plain(value)}"
    if was_past and not is_back:
        until = (
            f"back at {_plain(back)}"
            if definition.rearm is not None
            else f"no longer {definition.threshold_is} {_plain(limit)}"
        )
        return Decision(
            f"{said}; it was sent when it passed {_plain(limit)}, and will be again once it was {until}.", True
        )
    if passed:
        return Decision("", True)
    return Decision(f"{said}, which is not {definition.threshold_is} {_plain(limit)}.", False)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
