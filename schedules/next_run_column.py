"""The column of a list of things that says when each runs next, and why it will not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Case, F, Model, OuterRef, Subquery, Value, When
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from schedules import kinds
from schedules.list_rows import Row, rows_of
from schedules.models import Schedule
from schedules.target_panel import offers

_PAUSED = Case(When(paused_at__isnull=True, then=Value(False)), default=Value(True), output_field=BooleanField())


class ShowsNextRun(ModelAdmin):  # type: ignore[misc]
    """For the admin of things that schedules run, with ``next_run`` in its ``list_display``."""

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if request.user.has_perm("schedules.view_schedule"):
            return columns
        return [column for column in columns if column != "next_run"]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        if "next_run" in changelist.list_display:
            changelist.result_list = list(changelist.result_list)
            for thing, found in soonest(changelist.result_list, request.user):
                thing.runs_next = found
                thing.may_be_put = offers(thing, request.user, is_first=True) if found is None else []
        return changelist

    @admin.display(description="Next run")
    def next_run(self, obj: Any) -> SafeString:
        if obj.runs_next is None:
            add = format_html_join("", '<a class="al-name" href="{1}">{0}</a>', obj.may_be_put[:1])
            return format_html('<span class="al-sub">{}</span>{}', "On no schedule", add)
        schedule, row = obj.runs_next
        note = format_html('<span class="al-sub al-next-note">{}</span>', row.next_note) if row.next_note else ""
        sub = format_html('<span class="al-sub">{}</span>', row.next_at) if row.next_at else ""
        link = format_html('<a class="al-name" href="{}" title="{}">{}</a>', row.url, schedule.name, row.next_words)
        return format_html("{}{}{}", link, sub, note)


def soonest(things: Sequence[Model], reader: Any) -> Iterable[tuple[Any, tuple[Schedule, Row] | None]]:
    """Each thing with the schedule that runs it next, one that is not paused before any that is; None without one.

    As many queries for fifty things as for one, however many schedules they have.
    """
    if not things:
        return
    keys = [kind.key for kind in kinds.of_model(type(things[0]))]
    own = Schedule.objects.filter(kind__in=keys, target_id=OuterRef("pk"))
    first = own.order_by(_PAUSED.asc(), F("next_due_at").asc(nulls_last=True), "pk").values("pk")[:1]
    model = type(things[0])._default_manager
    numbers = dict(
        model.filter(pk__in=[thing.pk for thing in things]).annotate(first=Subquery(first)).values_list("pk", "first")
    )
    found = Schedule.objects.select_related("periodic_task", "calendar").in_bulk(
        [number for number in numbers.values() if number is not None]
    )
    rows = rows_of(list(found.values()), reader)
    for thing in things:
        schedule = found.get(numbers.get(thing.pk) or 0)
        yield thing, None if schedule is None else (schedule, rows[schedule.pk])
