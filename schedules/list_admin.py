"""The list of schedules: each row says without a click whether it is on, when, how it went and when next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from schedules.bulk_admin import BulkVerbs
from schedules.list_filters import KindFilter, OwnerFilter, StatusFilter
from schedules.list_pages import COUNTED, BoundedPaginator
from schedules.list_rows import rows_of
from schedules.models import Schedule

_NONE = {
    "active": "No schedule is active.",
    "paused": "No schedule is paused.",
    "failing": "No schedule is failing.",
    "broken": "No schedule is broken.",
    "ended": "No schedule has ended.",
    "mine": "You look after no schedule.",
}


class ScheduleList(BulkVerbs, ModelAdmin):  # type: ignore[misc]
    """The list half of the schedules' admin."""

    list_display = ("name", "next_run")
    list_display_links = None
    list_filter = (StatusFilter, KindFilter, OwnerFilter)
    search_fields = ("periodic_task__name",)
    list_select_related = ("periodic_task", "calendar")
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    ordering = ("periodic_task__name",)
    list_fullwidth = True
    change_list_template = "schedules/list.html"
    list_before_template = "schedules/_list_tabs.html"
    list_after_template = "schedules/_verb_form.html"

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        rows = rows_of(changelist.result_list, request.user)
        for schedule in changelist.result_list:
            schedule.row = rows[schedule.pk]
        tabs, *choices = changelist.filter_specs
        changelist.headings = _headings(changelist)
        changelist.tabs = _tabs(changelist, tabs)
        changelist.choices = [(spec, spec.value() or "") for spec in choices]
        changelist.is_searched = bool(changelist.query or any(chosen for _, chosen in changelist.choices))
        changelist.is_narrowed = changelist.is_searched or bool(tabs.value())
        changelist.none_listed = _NONE.get(tabs.value() or "", "No schedule is listed here.")
        # Unfold's button for filters is no button: the keyboard cannot reach it. The form above the list replaces it.
        changelist.has_filters = False
        changelist.full_result_count = changelist.result_count
        changelist.is_cut = changelist.result_count >= COUNTED
        return changelist

    # The rows are the template's (list_rows.py); Django sorts by what is named here.
    @admin.display(description="Name", ordering="periodic_task__name")
    def name(self, obj: Schedule) -> str:
        return obj.name

    @admin.display(description="Next run", ordering="next_due_at")
    def next_run(self, obj: Schedule) -> datetime | None:
        return obj.next_due_at


@dataclass(frozen=True)
class Heading:
    """One column's heading; with an address where the list can be sorted by it."""

    word: str
    url: str = ""
    sort: str = ""
    arrow: str = ""


def _headings(changelist: Any) -> list[Heading]:
    return [
        _sorted_by(changelist, "Name", "name"), Heading("When"), Heading("Last runs"),
        _sorted_by(changelist, "Next run", "next_run"),
    ]  # fmt: skip


def _sorted_by(changelist: Any, word: str, column: str) -> Heading:
    """A second click turns the order round."""
    number = changelist.list_display.index(column)
    now = changelist.get_ordering_field_columns().get(number, "")
    url = changelist.get_query_string({"o": f"-{number}" if now == "asc" else str(number)}, ["p"])
    sort, arrow = {"asc": ("ascending", "↑"), "desc": ("descending", "↓")}.get(now, ("", ""))
    return Heading(word, url, sort, arrow)


def _tabs(changelist: Any, spec: Any) -> list[tuple[str, str, bool]]:
    """Word, address and whether it is the one shown; what was searched for stays."""
    current = spec.value() or ""
    offered = [("", "All"), *spec.lookup_choices]
    return [
        (word, changelist.get_query_string({"status": value} if value else {}, ["p"] if value else ["p", "status"]), value == current)
        for value, word in offered
    ]  # fmt: skip
