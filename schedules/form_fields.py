"""Form fields of the schedule pages: wall-clock times without a zone, and durations in minutes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from schedules import wall_clock, zones

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Beyond these no clock is certain, and some arithmetic fails."""


class LocalDateTimeInput(forms.DateTimeInput):
    """The browser's own date and time picker; the value is wall-clock time in the schedule's zone."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M", attrs={"class": UnfoldAdminTextInputWidget().attrs["class"]})


class WallClockField(forms.DateTimeField):
    """A date and time without a zone; the form reads it in the schedule's zone."""

    widget = LocalDateTimeInput

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        if isinstance(value, datetime):
            return value
        try:
            parsed = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise ValidationError("Write a date and time that exist, such as 2026-12-24 18:00.") from None
        if parsed.tzinfo is not None:
            raise ValidationError("Write the time as the clocks show it, without an offset.")
        if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
            raise ValidationError(f"Write a year from {FIRST_YEAR} to {LAST_YEAR}.")
        return parsed.replace(tzinfo=None)


class MinutesField(forms.FloatField):
    """A duration typed in minutes (also 1.5) and kept in seconds."""

    widget = UnfoldAdminDecimalFieldWidget

    def prepare_value(self, value: Any) -> Any:
        return f"{value / 60:g}" if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        minutes = super().to_python(value)
        if minutes is None:
            return None
        if not math.isfinite(minutes) or abs(minutes) > 1e7:
            raise ValidationError("Write a number of minutes, such as 30 or 1.5.")
        return round(minutes * 60)

    def validate(self, value: Any) -> None:
        forms.Field.validate(self, value)


def instant(wall: datetime | None, zone: str) -> datetime | None:
    """The instant at which clocks in the zone show ``wall``: as the evaluator has it, also in a clock change."""
    if wall is None:
        return None
    try:
        return wall_clock.instant(wall, zones.zone(zone))
    except (zones.UnknownZone, OverflowError):
        return wall.replace(tzinfo=UTC)


def shown_at(moment: datetime | None, zone: str) -> datetime | None:
    if moment is None:
        return None
    try:
        return moment.astimezone(zones.zone(zone)).replace(tzinfo=None)
    except zones.UnknownZone:
        return moment.replace(tzinfo=None)
