"""The Reports pages of the admin: what is listed, for which days, in which files, and who gets it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.forms import ModelForm
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from reports import coming, definition_views, definition_words, services
from reports.datasets import registry
from reports.forms import ReportForm
from reports.models import ReportDefinition
from runs import words
from runs.deleted_meanwhile import KeepsWhatWasTyped
from schedules import zones
from schedules.next_run_column import ShowsNextRun
from schedules.target_admin import KeptWhileScheduled

_THRESHOLD = "condition == 'threshold'"


@admin.register(ReportDefinition)
class ReportDefinitionAdmin(KeptWhileScheduled, ShowsNextRun, KeepsWhatWasTyped):
    """What is counted; when it is made is set under Schedules."""

    when_empty = "No report yet. It says what to list and for which days; a schedule says when it is made and goes out."
    form = ReportForm
    list_display = ("name", "lists", "days", "next_run", "keeps")
    list_select_related = ("query",)
    search_fields = ("name",)
    search_help_text = "Search by name"
    list_per_page = 50
    actions = None
    deletion_keeps = "The files it made stay in the library until they expire."
    warn_unsaved_form = True
    compressed_fields = False  # labels above their fields: the builder and the preview take the whole width
    list_fullwidth = True
    change_form_show_cancel_button = True
    change_form_outer_before_template = "reports/form_before.html"
    change_form_before_template = "reports/form_top.html"
    change_form_outer_after_template = "reports/form_after.html"
    conditional_fields: ClassVar = {
        "last_n": "period == 'last_n_days'",
        "fixed_first": "period == 'fixed'",
        "fixed_last": "period == 'fixed'",
        "on_cap": "row_cap",
        "threshold_of": _THRESHOLD,
        "threshold_is": _THRESHOLD,
        "threshold": _THRESHOLD,
        "rearm": _THRESHOLD,
    }
    fieldsets = (
        ("What", {"fields": ("name", "data_set")}),
        ("Which days", {"fields": ("period", "last_n", ("fixed_first", "fixed_last"), "time_zone")}),
        ("Columns, filters and totals", {"fields": ("selection",), "classes": ("al-bare",)}),
        ("What it would hold now", {"fields": ("preview",), "classes": ("al-bare",)}),
        (
            "The files",
            {"fields": ("formats", "is_for_machines", "row_cap", "on_cap", ("retention_days", "keep_last"))},
        ),
        (
            "Worth sending",
            {
                "fields": (
                    "condition", ("threshold_of", "threshold_is", "threshold"), "rearm", "compares",
                )
            },
        ),
        (
            "Who gets it",
            {
                "fields": (
                    "notify", ("recipient_users", "recipient_groups"), "recipient_addresses", "attach_up_to_mb", "owner",
                )
            },
        ),
    )  # fmt: skip
    only_looked_at = (
        ("What", {"fields": ("name", "in_words")}),
        ("What it would hold now", {"fields": ("preview",), "classes": ("al-bare",)}),
    )

    class Media:
        css: ClassVar = {"all": ("reports/definition.css",)}
        js = ("reports/definition.js",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("panel/", wrap(definition_views.panel), name="reports_reportdefinition_panel"),
            path("preview/", wrap(definition_views.preview), name="reports_reportdefinition_preview"),
        ]
        return [*own, *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        may_type = self.has_change_permission(request, obj) if obj is not None else self.has_add_permission(request)
        return self.fieldsets if may_type else self.only_looked_at

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = self.get_fieldsets(request, obj)
        return () if shown is self.fieldsets else ("name", "in_words", "preview")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form names its own fields; saving them is the services' business, not the form's.
        kwargs["fields"] = ()
        if self.get_readonly_fields(request, obj):
            return super().get_form(request, obj, change=change, form=ModelForm, **kwargs)
        form = super().get_form(request, obj, change=change, **kwargs)
        bases = (_ShownAgain, form) if "do" in request.POST else (form,)
        return type("ReportForm", bases, {"actor": request.user})

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"time_zone_names": zones.offered(), **(extra_context or {})}
        stored = self.get_object(request, object_id) if object_id is not None and request.method == "GET" else None
        if stored is not None:
            context |= {"definition": stored, "next_reports": coming.next_five(stored)}
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
        if obj.query_id is not None:
            return str(obj.query)
        return dict(registry.choices()).get(obj.data_set, "no longer available")

    @admin.display(description="Days", ordering="period")
    def days(self, obj: ReportDefinition) -> SafeString:
        text = definition_words.days(obj)
        return format_html('<div>{}<span class="al-sub">{}</span></div>', text, obj.time_zone)

    @admin.display(description="Keeps files for", ordering="retention_days")
    def keeps(self, obj: ReportDefinition) -> str:
        return words.counted(obj.retention_days, "day")

    @admin.display(description="In words")
    def in_words(self, obj: ReportDefinition) -> SafeString:
        return render_to_string("reports/_definition_facts.html", {"facts": definition_words.facts(obj)})

    @admin.display(description="Preview")
    def preview(self, obj: ReportDefinition) -> SafeString:
        return render_to_string("reports/_preview_panel.html", {"number": obj.pk})


class _ShownAgain(ReportForm):
    """The form after a button of the builder, which is no attempt to save: all that was typed, and no complaint."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only without scripts does anybody come here; with them the page asks for its preview by itself.
        typed = type("ReportForm", (ReportForm,), {"actor": self.actor})(self.data, instance=self.instance)
        cast(Any, self.fields["preview"].widget).shown = definition_views.preview_of(typed)

    def is_valid(self) -> bool:
        return False

    @property
    def errors(self) -> ErrorDict:
        return ErrorDict()
