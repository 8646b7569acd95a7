"""Holiday calendars in the admin; what is saved goes through calendars.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs import words
from runs.deleted_meanwhile import KeepsWhatWasTyped
from schedules import calendars, working_days
from schedules.models import HolidayCalendar
from schedules.verb_forms import CalendarForm

LISTED = 20


@admin.register(HolidayCalendar)
class HolidayCalendarAdmin(KeepsWhatWasTyped):
    """Which days are off, for the schedules that follow the calendar."""

    form = CalendarForm
    when_empty = "No calendar of holidays yet. Schedules that follow one leave a run on a holiday out, or move it to a working day."
    list_display = ("name", "whose", "followers", "next_day_off")
    actions = None
    list_fullwidth = True
    warn_unsaved_form = True
    readonly_fields = ("days",)
    fieldsets = ((None, {"fields": ("name", "country", "subdivision", "own_days", "days")}),)

    def save_model(self, request: HttpRequest, obj: HolidayCalendar, form: CalendarForm, change: bool) -> None:
        calendars.save_calendar(request.user, obj, **calendars.values_of(form.cleaned_data))

    def has_delete_permission(self, request: HttpRequest, obj: HolidayCalendar | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and (obj is None or not obj.schedules.exists())

    def delete_model(self, request: HttpRequest, obj: HolidayCalendar) -> None:
        calendars.delete_calendar(request.user, obj)

    @admin.display(description="Holidays of")
    def whose(self, obj: HolidayCalendar) -> str:
        country = working_days.countries().get(obj.country, "")
        return f"{country} {obj.subdivision}".strip() or "Own days only"

    def get_queryset(self, request: HttpRequest) -> QuerySet[HolidayCalendar]:
        counted: QuerySet[HolidayCalendar] = super().get_queryset(request).annotate(follower_count=Count("schedules"))
        return counted

    @admin.display(description="Schedules that follow it", ordering="follower_count")
    def followers(self, obj: Any) -> int:
        return int(obj.follower_count)

    @admin.display(description="Next day off")
    def next_day_off(self, obj: HolidayCalendar) -> str:
        try:
            coming = obj.days().coming(timezone.localdate(), 1)
        except working_days.CalendarError as error:
            return f"Cannot be read: {error}"
        return f"{words.day(coming[0][0])}, {coming[0][1]}" if coming else "None within two years"

    @admin.display(description="Next days off")
    def days(self, obj: HolidayCalendar | None) -> SafeString | str:
        if obj is None or not obj.changed_at:
            return "They are listed here once it is saved."
        try:
            obj.days()
        except working_days.CalendarError as error:
            return f"Cannot be read: {error}"
        coming = [(words.day(day), name) for day, name in obj.days().coming(timezone.localdate(), LISTED)]
        rows = format_html_join("", '<li>{} <span class="al-sub">{}</span></li>', coming)
        return format_html('<ol class="al-times">{}</ol>', rows) if coming else "None within two years"
