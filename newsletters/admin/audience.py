"""Lists, subscribers and the suppression list."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from newsletters import services
from newsletters.forms import SubscriberForm, SuppressionForm
from newsletters.models import Delivery, List, Subscriber, Subscription, Suppression
from runs import words
from runs.admin import LongListAdmin
from runs.pages import moment_column

TONES = {Subscription.State.CONFIRMED: "good", Subscription.State.PENDING: "warn"}


@admin.register(List)
class ListAdmin(ModelAdmin):  # type: ignore[misc]
    """The lists with how many people are on them."""

    list_display = ("name", "confirmed", "pending", "unsubscribed", "public")
    search_fields = ("name",)
    fields = ("name", "slug", "description", "public", "opt_in")
    prepopulated_fields = {"slug": ("name",)}
    actions = None
    list_fullwidth = True
    change_form_show_cancel_button = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[List]:
        rows: QuerySet[List] = super().get_queryset(request)
        return rows.annotate(**{f"{state.value}_count": _counted(state) for state in Subscription.State})

    def save_model(self, request: HttpRequest, obj: List, form: Any, change: bool) -> None:
        services.save_list(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: List) -> None:
        services.delete_list(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: List | None = None) -> bool:
        """Only a list that nobody is on, and that no newsletter uses, can be deleted."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not obj.subscriptions.exists() and not obj.newsletters.exists()

    @admin.display(description="Confirmed", ordering="confirmed_count")
    def confirmed(self, obj: Any) -> str:
        return f"{obj.confirmed_count or 0:,}"

    @admin.display(description="Not confirmed yet", ordering="pending_count")
    def pending(self, obj: Any) -> str:
        return f"{obj.pending_count or 0:,}"

    @admin.display(description="Unsubscribed", ordering="unsubscribed_count")
    def unsubscribed(self, obj: Any) -> str:
        return f"{obj.unsubscribed_count or 0:,}"


def _counted(state: Subscription.State) -> Subquery:
    rows = Subscription.objects.filter(list=OuterRef("pk"), state=state).order_by().values("list")
    return Subquery(rows.annotate(number=Count("pk")).values("number"), output_field=IntegerField())


@admin.register(Subscriber)
class SubscriberAdmin(LongListAdmin):
    """The readers; searched by the beginning of the address, which an index answers at any size."""

    form = SubscriberForm
    list_display = ("email", "name", "on_lists", "since")
    search_fields = ("^email_norm",)
    search_help_text = "Search by the beginning of the address"
    fields = ("email", "name", "language", "attributes", "lists", "history")
    readonly_fields = ("history",)
    change_form_show_cancel_button = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        rows: QuerySet[Subscriber] = super().get_queryset(request)
        return rows.prefetch_related("subscriptions__list")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.base_fields["lists"].widget = UnfoldAdminCheckboxSelectMultipleWidget(
            choices=[(chosen.pk, chosen.name) for chosen in List.objects.all()]
        )
        return form

    def save_model(self, request: HttpRequest, obj: Subscriber, form: SubscriberForm, change: bool) -> None:
        services.save_subscriber(request.user, obj, form.cleaned_data["lists"])

    def has_delete_permission(self, request: HttpRequest, obj: Subscriber | None = None) -> bool:
        return False

    @admin.display(description="Lists")
    def on_lists(self, obj: Subscriber) -> SafeString:
        rows = [
            (TONES.get(Subscription.State(row.state), "quiet"), row.list.name, row.get_state_display())
            for row in obj.subscriptions.all()
        ]
        return format_html_join(" ", '<span class="al-chip al-chip-{}">{}: {}</span>', rows)

    @admin.display(description="Since", ordering="id")
    def since(self, obj: Subscriber) -> str:
        return words.relative(obj.created_at)

    @admin.display(description="History")
    def history(self, obj: Subscriber) -> SafeString | str:
        if not obj.pk:
            return "Nothing yet."
        lines = [
            (
                row.list.name,
                row.get_state_display(),
                row.source or "unknown",
                words.day(timezone.localdate(row.created_at)),
            )
            for row in obj.subscriptions.all()
        ]
        number = Delivery.objects.filter(subscriber=obj).count()
        return format_html(
            '<ul class="al-log">{}<li><a href="{}?subscriber__id__exact={}">{} mails</a></li></ul>',
            format_html_join("", "<li>{}: {} (from {}, since {})</li>", lines),
            reverse("admin:newsletters_delivery_changelist"),
            obj.pk,
            number,
        )


@admin.register(Suppression)
class SuppressionAdmin(LongListAdmin):
    """Addresses that get no newsletter at all."""

    form = SuppressionForm
    list_display = ("__str__", "reason", "note", moment_column("created_at", "Since"))
    list_filter = ("reason",)
    search_fields = ("^email_norm",)
    search_help_text = "Search by the beginning of the address"

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: SuppressionForm, change: bool) -> None:
        saved = services.suppress(request.user, form.cleaned_data["email"], note=obj.note)
        obj.pk, obj.email_norm, obj.address_hash = saved.pk, saved.email_norm, saved.address_hash
