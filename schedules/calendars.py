"""Adds, changes and removes holiday calendars; the schedules that follow one are pointed anew at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from runs import audit, bulk, clock, locking, names
from runs.audit import Actor
from schedules import planner, working_days
from schedules.cron import CronError
from schedules.models import HolidayCalendar, Schedule

FIELDS = ("name", "country", "subdivision", "own_days")


def save_calendar(
    actor: Actor, calendar: HolidayCalendar, *, name: str, country: str = "", subdivision: str = "", own_days: str = ""
) -> HolidayCalendar:
    """Writes a new calendar, or the new values of an existing one. Nothing fires retroactively.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not.
    """
    is_new = calendar.pk is None
    audit.require(actor, f"schedules.{'add' if is_new else 'change'}_holidaycalendar", "write a calendar", calendar)
    values = check(calendar, {"name": name, "country": country, "subdivision": subdivision, "own_days": own_days})
    with transaction.atomic():
        before = {} if is_new else _facts(HolidayCalendar.objects.get(pk=calendar.pk))
        followers = [] if is_new else list(locking.locked(_followers(calendar).order_by("pk")))
        planner.settle_fully(followers, clock.now())  # what is due by now is decided under the days that held
        for field, value in values.items():
            setattr(calendar, field, value)
        calendar.save()
        _point(followers, calendar)
        audit.record(
            actor, "added the calendar" if is_new else "changed the calendar", calendar, before=before,
            after=_facts(calendar),
        )  # fmt: skip
    return calendar


def delete_calendar(actor: Actor, calendar: HolidayCalendar) -> None:
    """Removes a calendar that no schedule follows. Raises ValidationError naming those that do."""
    audit.require(actor, "schedules.delete_holidaycalendar", "delete a calendar", calendar)
    followers = [schedule.name for schedule in _followers(calendar)[:5]]
    if followers:
        raise ValidationError(
            f"These schedules follow it: {', '.join(followers)}. Choose another calendar for them first."
        )
    with transaction.atomic():
        audit.record(actor, "deleted the calendar", calendar, before=_facts(calendar))
        calendar.delete()


def values_of(given: Mapping[str, Any]) -> dict[str, str]:
    """The values of a calendar as they are stored."""
    return {name: str(given.get(name) or "").strip() for name in FIELDS}


def check(calendar: HolidayCalendar, given: Mapping[str, Any]) -> dict[str, str]:
    """The values ready to store. Raises ValidationError with a message per field."""
    values = values_of(given)
    errors: dict[str, str] = {}
    others = HolidayCalendar.objects.exclude(pk=calendar.pk)
    if found := names.problem(values["name"], "calendar", "Bavaria", max_length=100, others=others):
        errors["name"] = found
    try:
        working_days.read_own_days(values["own_days"])
    except working_days.CalendarError as error:
        errors["own_days"] = str(error)
    if values["country"] and values["country"] not in working_days.countries():
        errors["country"] = "Choose a country from the list, or none."
    elif values["subdivision"].strip() and not values["country"]:
        errors["subdivision"] = "Choose the country first."
    elif values["country"]:
        try:
            values["subdivision"] = working_days.region(values["country"], values["subdivision"])
        except working_days.CalendarError as error:
            errors["subdivision"] = str(error)
    if not errors and not values["country"] and not values["own_days"]:
        errors["country"] = "Choose a country, or write days of your own."
    if errors:
        raise ValidationError(errors)
    return values


def _followers(calendar: HolidayCalendar) -> QuerySet[Schedule]:
    return Schedule.objects.filter(calendar=calendar).select_related("periodic_task")


def _point(followers: Sequence[Schedule], calendar: HolidayCalendar) -> None:
    """Points each at its next due time by the calendar's new days, in one statement."""
    for schedule in followers:
        schedule.calendar, schedule.broken_reason, schedule.changed_at = calendar, "", clock.now()
        try:
            planner.aim(schedule, schedule.cursor_at)
        except CronError as error:
            schedule.broken_reason, schedule.next_due_at = f"It cannot be read: {error}"[:300], None
            schedule.settled_timing = schedule.timing_text
    columns = ("next_due_at", "settled_timing", "broken_reason", "changed_at")
    bulk.update_by_id(
        Schedule,
        [schedule.pk for schedule in followers],
        {name: [getattr(schedule, name) for schedule in followers] for name in columns},
    )


def _facts(calendar: HolidayCalendar) -> dict[str, str]:
    return {name: getattr(calendar, name) for name in FIELDS}
