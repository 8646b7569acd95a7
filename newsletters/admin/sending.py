"""Newsletters and the deliveries. Issues are in issues.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from newsletters import editor_views, newsletter_page, recipients, services
from newsletters.admin.feeds import FeedPages
from newsletters.forms import NewsletterForm
from newsletters.models import Delivery, Issue, Newsletter
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.deleted_meanwhile import KeepsWhatWasTyped
from runs.pages import chip, moment_column
from schedules.next_run_column import ShowsNextRun
from schedules.target_admin import KeptWhileScheduled


@admin.register(Newsletter)
class NewsletterAdmin(KeptWhileScheduled, ShowsNextRun, KeepsWhatWasTyped, FeedPages):
    """The recurring newsletters; when they go out is set under Schedules."""

    when_empty = (
        "No newsletter yet. It says what is written, to which lists and from whom; a schedule says when it goes out."
    )
    form = NewsletterForm
    list_display = ("name", "subject", "to", "last_issue", "next_run")
    search_fields = ("name", "subject")
    search_help_text = "Search by name or subject"
    list_per_page = 50
    actions = None
    deletion_keeps = "No issue of it was ever sent. Its lists and their readers stay as they are."
    warn_unsaved_form = True
    list_fullwidth = True
    change_form_show_cancel_button = True
    compressed_fields = False  # labels above their fields: the preview takes the room beside them
    change_form_outer_before_template = "newsletters/admin/newsletter_before.html"
    change_form_outer_after_template = "newsletters/admin/newsletter_editor.html"
    fieldsets = (
        ("Letter", {"fields": ("name", "subject", "preheader", ("format", "template"), "body")}),
        ("What goes out", {"fields": ("source", "feed_url", ("feed_items", "feed_when_empty"), "attachment")}),
        ("Readers", {"fields": ("lists", "segment")}),
        (
            "Sender and speed",
            {"fields": (("from_name", "from_email"), "reply_to", ("rate", "rate_per"), "postal_address")},
        ),
        ("Rules", {"fields": ("approve_above", "tracking", "is_archived")}),
    )

    class Media:
        css = {"all": ("newsletters/admin.css", "newsletters/issues.css")}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("preview/", wrap(editor_views.preview), name="newsletters_newsletter_preview"),
            path("test/", wrap(editor_views.send_test), name="newsletters_newsletter_test"),
            path("checks/", wrap(editor_views.checks), name="newsletters_newsletter_checks"),
        ]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def get_queryset(self, request: HttpRequest) -> QuerySet[Newsletter]:
        begun = Issue.objects.filter(newsletter=OuterRef("pk"), started_at__isnull=False)
        newest = begun.order_by("-scheduled_for")
        annotated: QuerySet[Newsletter] = super().get_queryset(request).prefetch_related("lists")
        return annotated.annotate(
            last_issue_id=Subquery(newest.values("pk")[:1]),
            last_issue_at=Subquery(newest.values("scheduled_for")[:1]),
            last_issue_sent=Subquery(newest.values("sent")[:1]),
        )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("widget", UnfoldAdminCheckboxSelectMultipleWidget())
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.actor = request.user  # a class of its own for each request
        for name in {"lists", "segment", "template"} & set(form.base_fields):  # whoever may only look has no fields
            chooser = form.base_fields[name].widget
            # All have pages of their own; a menu beside them would be one more thing to understand.
            chooser.can_add_related = chooser.can_change_related = chooser.can_view_related = False
        return form

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        newsletter = self.get_object(request, object_id) if object_id is not None else None
        context = {**newsletter_page.panels(request, newsletter), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Newsletter, form: NewsletterForm, change: bool) -> None:
        services.save_newsletter(request.user, obj, form.cleaned_data["lists"])

    def delete_model(self, request: HttpRequest, obj: Newsletter) -> None:
        services.delete_newsletter(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Newsletter | None = None) -> bool:
        """What was sent stays on record: only a newsletter without issues can be deleted."""
        may = bool(super().has_delete_permission(request, obj))
        return may and obj is not None and not obj.issues.exists()

    @admin.display(description="To")
    def to(self, obj: Newsletter) -> str:
        return ", ".join(chosen.name for chosen in obj.lists.all()) or "No list yet"

    @admin.display(description="Last issue", ordering="last_issue_at")
    def last_issue(self, obj: Any) -> SafeString | str:
        if obj.last_issue_id is None:
            return "None yet"
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{} sent</span>',
            reverse("admin:newsletters_issue_change", args=[obj.last_issue_id]),
            words.relative(obj.last_issue_at),
            f"{obj.last_issue_sent:,}",
        )


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Who got which issue, and what the mail server said."""

    when_empty = "No mail was sent yet. Each mail to each reader stands here, with what the mail server said."
    list_display = ("email", "state_chip", "issue", "answer", moment_column("sent_at", "Sent"))
    list_display_links = None
    list_filter = ("state",)
    search_fields = ("=email_norm",)
    search_help_text = "Search by the whole address"
    list_select_related = ("issue__newsletter",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        rows: QuerySet[Delivery] = super().get_queryset(request)
        return rows.defer("issue__html", "issue__text", "merge")

    def has_view_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return recipients.may_see(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return recipients.may_see(request.user)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup in ("issue__id__exact", "subscriber__id__exact") or bool(
            super().lookup_allowed(lookup, value, request)
        )

    @admin.display(description="State", ordering="state")
    def state_chip(self, obj: Delivery) -> SafeString:
        tones = {Delivery.State.SENT: "good", Delivery.State.FAILED: "bad", Delivery.State.UNCERTAIN: "warn"}
        tone = tones.get(Delivery.State(obj.state), "quiet")
        return chip(tone, obj.get_state_display())

    @admin.display(description="What the mail server said")
    def answer(self, obj: Delivery) -> str:
        return f"{obj.code or ''} {obj.text}".strip()
