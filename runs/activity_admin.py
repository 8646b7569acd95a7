"""The activity log in the admin: who did, tried and was refused what, when and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from runs import activity, audit, form_errors, words
from runs.activity import Found, Wanted
from runs.admin import ReadOnlyAdmin
from runs.models import AuditEntry
from runs.pages import chip, page, when

SYSTEM = "almanac"
PARAMETERS = ("search", "who", "did", "type", "outcome", "since", "until")
_STAFF_LISTED = 200
_LACKING = re.compile(r"^lacks [a-z_]+\.([a-z_]+)$")


class DateInput(forms.DateInput):
    """The browser's own calendar."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d", attrs={"class": UnfoldAdminTextInputWidget().attrs["class"]})


class FilterForm(forms.Form):
    """What to look for; all of it may be left empty."""

    search = forms.CharField(required=False, max_length=100, widget=UnfoldAdminTextInputWidget)
    who = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    did = forms.ChoiceField(label="Did", required=False, widget=UnfoldAdminSelectWidget)
    type = forms.ChoiceField(label="Type of thing", required=False, widget=UnfoldAdminSelectWidget)
    outcome = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget,
        choices=[("", "Done and refused"), ("done", "Only what was done"), ("refused", "Only what was refused")],
    )  # fmt: skip
    since = forms.DateField(label="From", required=False, widget=DateInput)
    until = forms.DateField(label="To", required=False, widget=DateInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        staff = get_user_model()._default_manager.filter(is_staff=True).order_by("username")[:_STAFF_LISTED]
        people = [(str(user.pk), str(user)) for user in staff]
        self._offer("who", [("", "Everybody"), (SYSTEM, "Almanac itself"), *people])
        self._offer("did", [("", "Anything"), *((value, value) for value in activity.actions())])
        self._offer("type", [("", "Anything"), *((key, type_words(key)) for key in activity.object_types())])

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        asked = str(self.data.get(name, ""))
        if asked and asked not in dict(choices) and name != "who":
            choices = [*choices, (asked, asked)]  # a link may ask for what nobody did lately
        field.choices = choices

    def wanted(self) -> Wanted:
        """What was asked for; a field that cannot be read asks for everything."""
        self.is_valid()
        values = self.cleaned_data
        who = values.get("who") or ""
        return Wanted(
            text=values.get("search") or "",
            actor_id=int(who) if who.isdigit() else None,
            is_system=who == SYSTEM,
            action=values.get("did") or "",
            object_type=values.get("type") or "",
            is_refused={"refused": True, "done": False}.get(values.get("outcome") or ""),
            since=values.get("since"),
            until=values.get("until"),
        )


def type_words(key: str) -> str:
    """ "schedules.schedule" as "Schedule"."""
    try:
        name = str(apps.get_model(key)._meta.verbose_name)
    except (LookupError, ValueError):
        name = key.replace("-", " ")
    return name[:1].upper() + name[1:]


def _keeps(name: str) -> type[admin.SimpleListFilter]:
    """Lets the form's parameter through to the list; the form above the list shows and applies it."""

    class Parameter(admin.SimpleListFilter):
        title = parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return []

        def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
            return queryset

    return Parameter


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The list, one entry's page, and the file."""

    when_empty = "Nothing was changed yet. Everything that people change stands here, with before and after."
    list_display = ("when", "who", "did", "what", "why")
    list_display_links = None
    list_filter = tuple(_keeps(name) for name in PARAMETERS)
    list_before_template = "runs/activity_filters.html"
    sortable_by = ()
    ordering = ("-id",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("export/", wrap(export), name="runs_auditentry_export"),
            path("<int:entry_id>/change/", wrap(detail), name="runs_auditentry_change"),
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        if not request.GET:
            return super().get_queryset(request).defer("before", "after")  # type: ignore[no-any-return]
        return self._asked(request)[2].entries

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        form, wanted, found = self._asked(request)
        context = {
            "title": "Activity log", "filters": form, "is_filtered": not wanted.is_everything,
            "is_cut": found.is_cut, "looked_through": activity.LOOKED_THROUGH,
            "today": timezone.localdate(),
        }  # fmt: skip
        response: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})
        return response

    @staticmethod
    def _asked(request: HttpRequest) -> tuple[FilterForm, Wanted, Found]:
        """What this request looks for, looked up once: its dates and choices cost queries."""
        asked: tuple[FilterForm, Wanted, Found] | None = getattr(request, "activity_asked", None)
        if asked is None:
            form = FilterForm(request.GET)
            wanted = form.wanted()
            asked = form, wanted, activity.find(wanted)
            request.activity_asked = asked  # type: ignore[attr-defined]
        return asked

    @admin.display(description="When")
    def when(self, obj: AuditEntry) -> SafeString:
        return format_html('<span class="al-nowrap al-when">{}</span>', when(obj.at))

    @admin.display(description="Who")
    def who(self, obj: AuditEntry) -> str:
        return obj.actor_name or "Almanac"

    @admin.display(description="Did")
    def did(self, obj: AuditEntry) -> SafeString:
        link = reverse("admin:runs_auditentry_change", args=[obj.pk])
        name = format_html('<a class="al-name" href="{}">{}</a>', link, did_words(obj))
        return format_html("{} {}", chip("bad", "Refused"), name) if obj.was_refused else name

    @admin.display(description="What")
    def what(self, obj: AuditEntry) -> SafeString:
        kind = type_words(obj.object_type) if obj.object_type else ""
        return format_html('{}<span class="al-sub">{}</span>', obj.object_label, kind)

    @admin.display(description="Why")
    def why(self, obj: AuditEntry) -> str:
        return why_words(obj)


def did_words(entry: AuditEntry) -> str:
    """What was done; what was refused several times in a row says how often."""
    times = audit.attempts(entry) if entry.was_refused else 1
    return f"{entry.action} ({times} times)" if times > 1 else entry.action


def why_words(entry: AuditEntry) -> str:
    """Its reason; a permission that was missing is said without its technical name."""
    return _LACKING.sub(lambda found: f"No permission to {found[1].replace('_', ' ')}", entry.reason)


@require_safe
def detail(request: HttpRequest, entry_id: int) -> HttpResponse:
    """One entry with what it changed."""
    if not request.user.has_perm(activity.PERMISSION):
        raise PermissionDenied
    entry = get_object_or_404(AuditEntry, pk=entry_id)
    context = {
        "entry": entry,
        "did": did_words(entry),
        "why": why_words(entry),
        "kind": type_words(entry.object_type) if entry.object_type else "",
        "link": _address_of(entry),
        "differences": [] if entry.was_refused else differences(entry),
        "title": "Activity log entry",
    }
    return page(request, "runs/activity_entry.html", context)


@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """The entries between two days as a file for a spreadsheet program."""
    if not request.user.has_perm(activity.PERMISSION):
        raise PermissionDenied
    form = FilterForm(request.POST)
    try:
        if not form.is_valid():
            raise ValidationError(dict(form.errors))
        lines = activity.export_entries(request.user, form.wanted())
    except ValidationError as error:
        form_errors.show(form, error)
        return page(
            request, "runs/activity_export.html", {"form": form, "title": "Export the activity log"}, status=422
        )
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"activity {form.cleaned_data['since']} to {form.cleaned_data['until']}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response


@dataclass(frozen=True)
class Difference:
    """One value that an entry changed, as people read it."""

    name: str
    before: str
    after: str


def differences(entry: AuditEntry) -> list[Difference]:
    """What changed, value by value; for what was only added or removed, everything that was there."""
    before, after = entry.before or {}, entry.after or {}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    rows = [Difference(_label(name), shown(before.get(name)), shown(after.get(name))) for name in names]
    return [row for row in rows if row.before or row.after]


def _label(name: str) -> str:
    text = name.removesuffix("_id").removesuffix("_at").replace("_", " ")
    return text[:1].upper() + text[1:]


def shown(value: Any) -> str:
    """A stored value in words: yes and no, local times, lists with commas."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(shown(part) for part in value)
    if isinstance(value, dict):
        return "; ".join(f"{_label(name)}: {shown(part)}" for name, part in value.items())
    if isinstance(value, str) and len(value) >= 19 and value[10:11] == "T":
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return words.here(moment) if moment.tzinfo else value
    return f"{value:,}" if isinstance(value, int) else str(value)


def _address_of(entry: AuditEntry) -> str:
    """The page of what it is about, where that still exists; empty otherwise."""
    try:
        model = apps.get_model(entry.object_type)
    except (LookupError, ValueError):
        return ""
    if not entry.object_id.isdigit() or not model._default_manager.filter(pk=entry.object_id).exists():
        return ""
    for verb in ("detail", "change"):
        try:
            return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{verb}", args=[entry.object_id])
        except NoReverseMatch:
            continue
    return ""
