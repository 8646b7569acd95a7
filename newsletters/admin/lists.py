"""Lists, and the addresses that get nothing whatever list they are on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from newsletters import segments, services, subscriber_views, suppressions
from newsletters.models import List, Subscription, Suppression
from newsletters.subscriber_forms import SuppressionForm
from runs import words
from runs.admin import LongListAdmin
from runs.pages import chip


@admin.register(List)
class ListAdmin(ModelAdmin):  # type: ignore[misc]
    """The lists with how many people are on them."""

    when_empty = "No list yet. A list is what readers subscribe to; a newsletter goes to one or more of them."
    list_display = ("name", "confirmed", "pending", "unsubscribed", "is_public")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("people", "sign_up_page", "users")
    actions = None
    list_fullwidth = True
    change_form_show_cancel_button = True
    warn_unsaved_form = True

    def get_fieldsets(self, request: HttpRequest, obj: List | None = None) -> Any:
        facts = () if obj is None else (("Now", {"fields": ("people", "sign_up_page", "users")}),)
        return (
            (None, {"fields": ("name", "slug", "description", "public", "opt_in")}),
            ("Welcome mail", {"fields": ("welcome_subject", "welcome_body")}),
            *facts,
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[List]:
        rows: QuerySet[List] = super().get_queryset(request)
        return rows.annotate(**{f"{state.value}_count": _counted(state) for state in Subscription.State})

    def save_model(self, request: HttpRequest, obj: List, form: Any, change: bool) -> None:
        services.save_list(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: List) -> None:
        services.delete_list(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: List | None = None) -> bool:
        """Only a list that nobody is on, and that no newsletter or segment uses, can be deleted."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not obj.subscriptions.exists() and not _users(obj)

    @admin.display(description="Confirmed", ordering="confirmed_count")
    def confirmed(self, obj: Any) -> SafeString | str:
        if not obj.confirmed_count:
            return "0"
        return format_html('<a class="al-name" href="{}">{}</a>', _who(obj), f"{obj.confirmed_count:,}")

    @admin.display(description="Unconfirmed", ordering="pending_count")
    def pending(self, obj: Any) -> str:
        return f"{obj.pending_count or 0:,}"

    @admin.display(description="Unsubscribed", ordering="unsubscribed_count")
    def unsubscribed(self, obj: Any) -> str:
        return f"{obj.unsubscribed_count or 0:,}"

    @admin.display(description="Open to all", ordering="public")
    def is_public(self, obj: List) -> str:
        return "On the sign-up page" if obj.public else "No"

    @admin.display(description="Who is on it")
    def people(self, obj: Any) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a>, {} not confirmed yet, {} left it',
            _who(obj), words.counted(obj.confirmed_count or 0, "subscriber"), f"{obj.pending_count or 0:,}",
            f"{obj.unsubscribed_count or 0:,}",
        )  # fmt: skip

    @admin.display(description="Page where readers sign up")
    def sign_up_page(self, obj: List) -> SafeString | str:
        if not obj.public:
            return "None: only public lists can be signed up for."
        address = f"{settings.PUBLIC_URL}{reverse('newsletters:subscribe')}"
        return format_html('<a class="al-name" href="{0}" rel="noopener">{0}</a>', address)

    @admin.display(description="Used by")
    def users(self, obj: List) -> str:
        return ", ".join(_users(obj)) or "Nothing yet. A list that nobody is on and nothing uses can be deleted."


@admin.register(Suppression)
class SuppressionAdmin(LongListAdmin):
    """Addresses that get no newsletter at all."""

    when_empty = (
        "Every address may be written to. Whoever leaves everything, complains or has an address that does "
        "not exist any more comes to stand here."
    )
    form = SuppressionForm
    list_display = ("address", "why", "since", "lift")
    list_display_links = None
    list_filter = ("reason",)
    search_fields = ("email_norm",)
    search_help_text = "Search by address; a whole one also finds erased people"
    list_after_template = "newsletters/admin/by_post.html"
    change_form_show_cancel_button = True

    def get_urls(self) -> list[URLPattern]:
        lift = self.admin_site.admin_view(subscriber_views.lift_suppression)
        return [path("<int:suppression_id>/lift/", lift, name="newsletters_suppression_lift"), *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        return (suppressions.search(queryset, search_term) if search_term.strip() else queryset), False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        names: tuple[str, ...] = self.list_display
        return names if request.user.has_perm(suppressions.LIFT) else names[:-1]

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Suppression, form: SuppressionForm, change: bool) -> None:
        saved = services.suppress(request.user, form.cleaned_data["email"], note=obj.note)
        obj.pk, obj.email_norm, obj.address_hash = saved.pk, saved.email_norm, saved.address_hash

    def log_addition(self, request: HttpRequest, obj: Suppression, message: Any) -> None:
        """The activity log says it already; Django's own would be one more place that keeps addresses."""

    @admin.display(description="Address", ordering="email_norm")
    def address(self, obj: Suppression) -> SafeString:
        note = f"“{obj.note}”" if obj.note else ""
        return format_html('<span class="al-name">{}</span><span class="al-sub">{}</span>', obj, note)

    @admin.display(description="Why", ordering="reason")
    def why(self, obj: Suppression) -> SafeString:
        return chip("warn" if obj.reason in suppressions.ASKED_FOR else "quiet", obj.get_reason_display())

    @admin.display(description="Since", ordering="created_at")
    def since(self, obj: Suppression) -> str:
        return words.relative(obj.created_at)

    @admin.display(description="Verbs")
    def lift(self, obj: Suppression) -> SafeString:
        return format_html(
            '<button class="al-button" form="by-post" formaction="{}" data-dialog>Lift… <span class="al-hidden">{}</span></button>',
            reverse("admin:newsletters_suppression_lift", args=[obj.pk]), obj,
        )  # fmt: skip


def _counted(state: Subscription.State) -> Subquery:
    rows = Subscription.objects.filter(list=OuterRef("pk"), state=state).order_by().values("list")
    return Subquery(rows.annotate(number=Count("pk")).values("number"), output_field=IntegerField())


def _who(obj: List) -> str:
    return f"{reverse('admin:newsletters_subscriber_changelist')}?list={obj.pk}"


def _users(obj: List) -> list[str]:
    return [*(str(newsletter) for newsletter in obj.newsletters.order_by("name")), *segments.naming(obj)]
