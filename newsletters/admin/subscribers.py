"""Subscribers and their fields."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from newsletters import field_forms, fields, segments, subscriber_files, subscriber_views, subscribers
from newsletters.field_forms import SubscriberFieldForm
from newsletters.models import List, Segment, Subscriber, SubscriberField, Subscription
from newsletters.subscriber_files import Wanted
from newsletters.subscriber_forms import ExportForm, SubscriberForm, subscriber_form
from newsletters.subscriber_views import STATE_TONES
from runs import words
from runs.admin import LongListAdmin


def _number(text: str | None) -> int:
    """A row's number out of an address; 0, which no row has, for anything else."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else 0


class ListFilter(admin.SimpleListFilter):
    """Who is on a list."""

    title = "on the list"
    parameter_name = "list"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in List.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> QuerySet[Subscriber]:
        chosen = List.objects.filter(pk=_number(self.value())).first()
        return subscriber_files.chosen(queryset, Wanted(of_list=chosen))


class SegmentFilter(admin.SimpleListFilter):
    """Who is in a segment; nobody is in one whose rules cannot be used."""

    title = "in the segment"
    parameter_name = "segment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in Segment.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> QuerySet[Subscriber]:
        chosen = Segment.objects.filter(pk=_number(self.value())).first()
        try:
            return subscriber_files.chosen(queryset, Wanted(of_segment=chosen))
        except segments.BadRule:
            return queryset.none()


@admin.register(Subscriber)
class SubscriberAdmin(LongListAdmin):
    """The readers; searched by the beginning of the address, which an index answers at any size."""

    when_empty = "Nobody yet. Readers come by the sign-up form of a public list, by an import, or one by one from here."
    form = SubscriberForm
    list_display = ("who", "on_lists", "since")
    list_display_links = None
    list_filter = (ListFilter, SegmentFilter)
    list_before_template = "newsletters/admin/subscriber_list.html"
    search_fields = ("^email_norm",)
    search_help_text = "Search by the beginning of the address"
    change_form_show_cancel_button = True
    warn_unsaved_form = True

    class Media:
        css = {"all": ("newsletters/audience.css",)}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        verbs = {
            "suppress": subscriber_views.suppress,
            "erase": subscriber_views.erase,
            "personal-data": subscriber_views.personal_data,
        }
        own: list[URLPattern] = [
            path("export/", wrap(subscriber_views.export), name="newsletters_subscriber_export"),
            path("<int:subscriber_id>/", wrap(subscriber_views.detail), name="newsletters_subscriber_detail"),
            path(
                "subscriptions/<int:subscription_id>/leave/",
                wrap(subscriber_views.unsubscribe),
                name="newsletters_subscriber_unsubscribe",
            ),
        ]
        own += [
            path(f"<int:subscriber_id>/{verb}/", wrap(view), name=f"newsletters_subscriber_{verb.replace('-', '_')}")
            for verb, view in verbs.items()
        ]
        return [*own, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        rows: QuerySet[Subscriber] = super().get_queryset(request)
        return rows.prefetch_related("subscriptions__list")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        asked = {"of_list": request.GET.get("list"), "of_segment": request.GET.get("segment")}
        context = {
            "export_form": ExportForm(initial=asked),
            "may_export": subscriber_files.may_export(request.user),
            "segment": Segment.objects.filter(pk=_number(asked["of_segment"])).first(),
        }
        response: HttpResponse = super().changelist_view(request, {**context, **(extra_context or {})})
        return response

    def get_fieldsets(self, request: HttpRequest, obj: Subscriber | None = None) -> Any:
        if not self._may_save(request, obj):
            return ((None, {"fields": ("email", "name", "language")}),)
        inputs = [field_forms.input_name(key) for key in fields.all_fields()]
        facts = (("Fields", {"fields": inputs}),) if inputs else ()
        return ((None, {"fields": ("email", "name", "language")}), *facts, ("Lists", {"fields": ("lists",)}))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if not self._may_save(request, obj):
            return super().get_form(request, obj, change=change, **kwargs)
        form = super().get_form(request, obj, change=change, **{**kwargs, "form": subscriber_form()})
        form.base_fields["lists"].widget = UnfoldAdminCheckboxSelectMultipleWidget(
            choices=[(chosen.pk, chosen.name) for chosen in List.objects.all()]
        )
        return form

    def _may_save(self, request: HttpRequest, obj: Subscriber | None) -> bool:
        return bool(self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj))

    def save_model(self, request: HttpRequest, obj: Subscriber, form: SubscriberForm, change: bool) -> None:
        subscribers.save_subscriber(request.user, obj, form.cleaned_data["lists"])

    def response_post_save_add(self, request: HttpRequest, obj: Subscriber) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:newsletters_subscriber_detail", args=[obj.pk]))

    response_post_save_change = response_post_save_add

    def log_addition(self, request: HttpRequest, obj: Subscriber, message: Any) -> None:
        """The activity log says it already; Django's own would be one more place that keeps addresses."""

    log_change = log_addition

    def has_delete_permission(self, request: HttpRequest, obj: Subscriber | None = None) -> bool:
        return False

    @admin.display(description="Subscriber", ordering="email_norm")
    def who(self, obj: Subscriber) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            reverse("admin:newsletters_subscriber_detail", args=[obj.pk]), obj.email, obj.name,
        )  # fmt: skip

    @admin.display(description="Lists")
    def on_lists(self, obj: Subscriber) -> SafeString:
        rows = [
            (STATE_TONES.get(Subscription.State(row.state), "quiet"), row.list.name, row.get_state_display())
            for row in obj.subscriptions.all()
        ]
        return format_html_join(" ", '<span class="al-chip al-chip-{}">{}: {}</span>', rows)

    @admin.display(description="Since", ordering="id")
    def since(self, obj: Subscriber) -> str:
        return words.relative(obj.created_at)


@admin.register(SubscriberField)
class SubscriberFieldAdmin(ModelAdmin):  # type: ignore[misc]
    """What we keep of subscribers besides address, name and language."""

    when_empty = (
        "No field yet. A field is a fact about readers that letters can mention and segments can ask for, "
        "such as their district."
    )
    form = SubscriberFieldForm
    list_display = ("label", "key", "what", "is_public")
    list_before_template = "newsletters/admin/field_list.html"
    actions = None
    list_fullwidth = True
    change_form_show_cancel_button = True
    prepopulated_fields: dict[str, tuple[str, ...]] = {}

    def get_readonly_fields(self, request: HttpRequest, obj: SubscriberField | None = None) -> tuple[str, ...]:
        return ("users",) if obj is not None else ()

    def get_fields(self, request: HttpRequest, obj: SubscriberField | None = None) -> tuple[str, ...]:
        names = ("label", "key", "kind", "choices", "is_public", "position")
        return names if obj is None else (*names, "users")

    def save_model(self, request: HttpRequest, obj: SubscriberField, form: Any, change: bool) -> None:
        fields.save_field(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: SubscriberField) -> None:
        fields.delete_field(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SubscriberField | None = None) -> bool:
        """Only a field that nothing uses can be deleted; its page says what does."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not fields.users_of(obj)

    @admin.display(description="Holds", ordering="kind")
    def what(self, obj: SubscriberField) -> str:
        return ", ".join(str(one) for one in obj.choices[:6]) if obj.choices else obj.get_kind_display()

    @admin.display(description="Used by")
    def users(self, obj: SubscriberField) -> str:
        return ", ".join(fields.users_of(obj)) or "Nothing yet; it can be deleted."
