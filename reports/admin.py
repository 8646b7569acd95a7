"""The Reports pages of the admin: definitions, and the library of files that were made."""

from __future__ import annotations

from datetime import date
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from reports import periods, previews, running, services, views
from reports.datasets import registry
from reports.forms import ReportForm
from reports.models import Artefact, ReportDefinition, ReportRun
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.deleted_meanwhile import KeepsWhatWasTyped
from runs.pages import chip, when
from schedules import zones
from schedules.target_admin import KeptWhileScheduled


@admin.register(ReportDefinition)
class ReportDefinitionAdmin(KeptWhileScheduled, KeepsWhatWasTyped):
    """What is counted; when it is made is set under Schedules."""

    form = ReportForm
    list_display = ("name", "lists", "days", "keeps")
    search_fields = ("name",)
    search_help_text = "Search by name"
    list_per_page = 50
    show_full_result_count = False
    actions = None
    deletion_keeps = "The files it made stay in the library until they expire."
    warn_unsaved_form = True
    list_fullwidth = True
    change_form_show_cancel_button = True
    change_form_outer_before_template = "reports/form_before.html"
    change_form_outer_after_template = "reports/form_after.html"
    conditional_fields: ClassVar = {"last_n": "period == 'last_n_days'"}
    readonly_fields = ("preview",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        days = ("period", "last_n", "time_zone")
        shown = [
            ("What", {"fields": ("name", "data_set")}),
            ("Which days", {"fields": (*days, "preview") if obj is not None else days}),
            ("The file", {"fields": ("row_cap", "retention_days")}),
            ("Who is told", {"fields": ("notify",)}),
        ]
        return shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form names its own fields; saving them is the services' business, not the form's.
        kwargs["fields"] = ()
        return super().get_form(request, obj, change=change, **kwargs)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"time_zone_names": zones.offered(), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: ReportDefinition, form: ReportForm, change: bool) -> None:
        if change:
            saved = services.edit_definition(request.user, obj.pk, form.draft())
        else:
            saved = services.create_definition(request.user, form.draft())
        obj.pk = saved.pk
        obj.refresh_from_db()

    def delete_model(self, request: HttpRequest, obj: ReportDefinition) -> None:
        services.delete_definition(request.user, obj.pk)

    @admin.display(description="Lists", ordering="data_set")
    def lists(self, obj: ReportDefinition) -> str:
        return dict(registry.choices()).get(obj.data_set, "no longer available")

    @admin.display(description="Days", ordering="period")
    def days(self, obj: ReportDefinition) -> SafeString:
        text = f"The last {obj.last_n} days" if obj.last_n else obj.get_period_display()
        return format_html('<div>{}<span class="al-sub">{}</span></div>', text, obj.time_zone)

    @admin.display(description="Keeps files for", ordering="retention_days")
    def keeps(self, obj: ReportDefinition) -> str:
        return words.counted(obj.retention_days, "day")

    @admin.display(description="Preview")
    def preview(self, obj: ReportDefinition) -> SafeString:
        shown = previews.preview(obj)
        cells = [list(zip(shown.columns, map(_cell, row), strict=True)) for row in shown.rows]
        context = {"preview": shown, "definition": obj, "cells": cells}
        return render_to_string("reports/_preview.html", context)


@admin.register(Artefact)
class ArtefactAdmin(ReadOnlyAdmin):
    """The report library: every file that was made, newest first."""

    list_display = ("state", "report", "period", "rows", "size", "made", "kept_until", "download")
    list_display_links = None
    list_select_related = ("report_run",)
    search_fields = ("report_run__name",)
    search_help_text = "Search by report"
    fields = ("state", "report", "file_name", "period", "rows", "size", "made", "kept_until", "sha256", "download")

    def get_urls(self) -> list[URLPattern]:
        # Cacheable as far as the admin is concerned: the view sets its own, stricter, header.
        wrapped = self.admin_site.admin_view(views.download, cacheable=True)
        return [path("<uuid:key>/download/", wrapped, name="reports_artefact_download"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": "Report library", **(extra_context or {})})

    @admin.display(description="State")
    def state(self, obj: Artefact) -> SafeString:
        if not obj.is_available:
            tone, word = "quiet", "No longer kept"
        elif obj.report_run.state == ReportRun.State.INCOMPLETE:
            tone, word = "warn", "Incomplete"
        else:
            tone, word = "good", "Complete"
        return chip(tone, word)

    @admin.display(description="Report", ordering="report_run__name")
    def report(self, obj: Artefact) -> SafeString:
        return format_html('<span class="al-name">{}</span>', obj.report_run.name)

    @admin.display(description="Period")
    def period(self, obj: Artefact) -> str:
        made = obj.report_run
        try:  # in the reader's language of dates
            return periods.between(made.window_start, made.window_end, made.time_zone).words
        except (KeyError, ValueError, OSError):
            return made.period

    @admin.display(description="Rows", ordering="row_count")
    def rows(self, obj: Artefact) -> str:
        return f"{obj.row_count:,}"

    @admin.display(description="Size", ordering="byte_count")
    def size(self, obj: Artefact) -> str:
        return filesizeformat(obj.byte_count)

    @admin.display(description="Made", ordering="created_at")
    def made(self, obj: Artefact) -> SafeString:
        return format_html("<div>{}</div>", when(obj.created_at))

    @admin.display(description="Kept until", ordering="expires_at")
    def kept_until(self, obj: Artefact) -> SafeString:
        note = words.relative(obj.expires_at) if obj.is_available else "no longer kept"
        shown = words.here(obj.expires_at)
        return format_html('<div>{}<span class="al-sub">{}</span></div>', note, shown)

    @admin.display(description="Download")
    def download(self, obj: Artefact) -> SafeString | str:
        if not obj.is_available:
            return "No longer kept"
        return format_html(
            '<a class="al-button" href="{}">Download<span class="al-hidden"> {}</span></a>',
            running.download_url(obj),
            obj,
        )


def _cell(value: Any) -> str:
    if isinstance(value, date):
        return words.day(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
