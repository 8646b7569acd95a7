"""Form fields of the schedule pages: wall-clock times without a zone, durations in minutes, zones, weekdays."""

from __future__ import annotations

import calendar
import difflib
import math
import re
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminTextInputWidget,
)

from schedules import wall_clock, zones
from schedules.cron_words import MONTHS, WEEKDAYS

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Beyond these no clock is certain, and some arithmetic fails."""
MODE_CHOICES = [
    ("daily", "Every day"),
    ("weekly", "Every week"),
    ("monthly", "Every month"),
    ("interval", "Every so often"),
    ("once", "Once"),
    ("cron", "Advanced: a pattern"),
]
SUGGESTED = 3


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
            raise ValidationError(
                f"{_why_no_date(str(value))}Write a date and time that exist, such as 2026-12-24 18:00."
            ) from None
        if parsed.tzinfo is not None:
            raise ValidationError("Write the time as the clocks show it, without an offset.")
        if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
            raise ValidationError(f"Write a year from {FIRST_YEAR} to {LAST_YEAR}.")
        return parsed.replace(tzinfo=None)


def _why_no_date(text: str) -> str:
    """What is wrong with a date that is written as one; empty when it is not even that."""
    match = re.match(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)", text, re.ASCII)
    if match is None:
        return ""
    year, month, day = (int(part) for part in match.groups())
    if not 1 <= month <= 12:
        return f"There is no month {month}. "
    last = calendar.monthrange(year, month)[1] if year else 31
    return "" if 1 <= day <= last else f"{MONTHS[month - 1]} {year} has {last} days, so there is no {day}. "


class WeekdaysField(forms.TypedMultipleChoiceField):
    """Weekdays as numbers, 0 is Sunday; Monday comes first."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        days = [(str(day), WEEKDAYS[day]) for day in (1, 2, 3, 4, 5, 6, 0)]
        super().__init__(choices=days, coerce=int, **kwargs)


class ZoneField(forms.CharField):
    """The name of a time zone; one that does not exist is answered with those that come close."""

    widget = UnfoldAdminTextInputWidget(attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"})

    def clean(self, value: Any) -> str:
        name = str(super().clean(value))
        try:
            zones.zone(name)
        except zones.UnknownZone as error:
            if name.isascii() and (exact := _spelled_otherwise(name)):
                return exact
            raise ValidationError(f"{error}{_meant(name)}") from None
        return name


def _spelled_otherwise(name: str) -> str:
    wanted = name.lower().replace(" ", "_")
    return next((known for known in zones.offered() if known.lower() == wanted), "")


def _meant(name: str) -> str:
    """ " Did you mean Europe/Berlin?": by the whole name, or by the city alone."""
    wanted = name.strip().lower().replace(" ", "_")[:64]
    by_lower = {known.lower(): known for known in zones.offered()}
    by_city = {known.rpartition("/")[2]: known for known in by_lower}
    found = [by_city[city] for city in difflib.get_close_matches(wanted.rpartition("/")[2], by_city, SUGGESTED, 0.75)]
    found += difflib.get_close_matches(wanted, by_lower, SUGGESTED, 0.75)
    names = [by_lower[known] for known in dict.fromkeys(found)][:SUGGESTED]
    return f" Did you mean {' or '.join(names)}?" if names else ""


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
