"""Policies and holds in the admin. What happens on the pages goes through services.py."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from cleanup import services, targets, views
from cleanup.forms import HoldForm, PolicyForm
from cleanup.models import CleanupPolicy, Hold
from runs import words
from runs.deleted_meanwhile import KeepsWhatWasTyped
from runs.pages import chip
from schedules.target_admin import KeptWhileScheduled


@admin.register(CleanupPolicy)
class CleanupPolicyAdmin(KeptWhileScheduled, KeepsWhatWasTyped):
    """Each policy: what, how old, and whether it is on."""

    form = PolicyForm
    list_display = ("name_link", "status", "what", "age")
    list_display_links = None
    search_fields = ("name",)
    actions = None
    deletion_keeps = "What its runs have deleted stays on record."
    show_full_result_count = False
    warn_unsaved_form = True
    fields = ("name", "targets", "days", "max_rows")
    change_form_outer_before_template = "cleanup/form_before.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path(f"<int:object_id>/{name}/", wrap(getattr(views, name)), name=f"cleanup_cleanuppolicy_{name}")
            for name in ("detail", "preview", "enable", "disable")
        ]
        return [*own, *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: CleanupPolicy, form: Any, change: bool) -> None:
        services.save_policy(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: CleanupPolicy) -> None:
        services.delete_policy(request.user, obj.pk)

    def response_add(
        self, request: HttpRequest, obj: CleanupPolicy, post_url_continue: str | None = None
    ) -> HttpResponse:
        super().response_add(request, obj, post_url_continue)
        return HttpResponseRedirect(reverse("admin:cleanup_cleanuppolicy_detail", args=[obj.pk]))

    def response_change(self, request: HttpRequest, obj: CleanupPolicy) -> HttpResponse:
        super().response_change(request, obj)
        return HttpResponseRedirect(reverse("admin:cleanup_cleanuppolicy_detail", args=[obj.pk]))

    @admin.display(description="Name", ordering="name")
    def name_link(self, obj: CleanupPolicy) -> SafeString:
        url = reverse("admin:cleanup_cleanuppolicy_detail", args=[obj.pk])
        return format_html('<a class="al-name" href="{}">{}</a>', url, obj.name)

    @admin.display(description="Status")
    def status(self, obj: CleanupPolicy) -> SafeString:
        tone, word = ("good", "Enabled") if obj.is_enabled else ("quiet", "Not enabled")
        return chip(tone, word)

    @admin.display(description="Cleans")
    def what(self, obj: CleanupPolicy) -> str:
        return ", ".join(targets.label(key) for key in obj.targets)

    @admin.display(description="Older than")
    def age(self, obj: CleanupPolicy) -> str:
        return words.counted(obj.days, "day")


@admin.register(Hold)
class HoldAdmin(ModelAdmin):  # type: ignore[misc]
    """What must be kept, and why. A hold is added or released, never changed."""

    form = HoldForm
    list_display = ("target", "object_id", "reason", "until", "created_by")
    list_select_related = ("created_by",)
    actions = None
    show_full_result_count = False
    fields = ("target", "object_id", "reason", "until")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Hold, form: Any, change: bool) -> None:
        made = services.add_hold(
            request.user, target=obj.target, object_id=obj.object_id, reason=obj.reason, until=obj.until
        )
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Hold) -> None:
        services.release_hold(request.user, obj.pk)
