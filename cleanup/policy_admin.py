"""The addresses of policies: list, form, and their own page. What happens on it goes through services.py."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cleanup import approval_views, live, policy_page, run_views, services, targets, views
from cleanup.forms import PolicyForm
from cleanup.models import CleanupPolicy, CleanupRun
from runs import words
from runs.deleted_meanwhile import KeepsWhatWasTyped
from runs.pages import chip, when
from schedules.next_run_column import ShowsNextRun
from schedules.target_admin import KeptWhileScheduled

_COPIED = "archive != 'none'"


@admin.register(CleanupPolicy)
class CleanupPolicyAdmin(KeptWhileScheduled, ShowsNextRun, KeepsWhatWasTyped):
    """Each policy: what, how old, whether it is on, and how its last run ended."""

    when_empty = (
        "No policy yet. It says what may be deleted once it is how old; it shows beforehand what that would be."
    )
    form = PolicyForm
    list_display = ("name_link", "status", "what", "age", "last", "next_run")
    list_display_links = None
    search_fields = ("name",)
    search_help_text = "Search by name"
    actions = None
    list_per_page = 50
    deletion_keeps = "What its runs have deleted stays on record."
    warn_unsaved_form = True
    list_fullwidth = True
    compressed_fields = False
    change_form_show_cancel_button = True
    conditional_fields: ClassVar = {"archive_days": _COPIED}
    fieldsets = (
        ("What and how old", {"fields": (("name", "days"), "targets")}),
        ("What it would delete now", {"fields": ("preview",), "classes": ("al-bare",)}),
        ("A copy, in case", {"fields": ("archive", "archive_days")}),
        (
            "Limits (good as they are)",
            {
                # One to a row: what is wrong in rows of several would not unfold it.
                "fields": (
                    "keep_last", "max_rows", "max_minutes", "batch_size", "rest_ms", "approve_above_rows",
                    "approve_above_percent", "approve_above_times", "owner",
                ),
                "classes": ("collapse",),
            },
        ),
    )  # fmt: skip
    change_form_outer_before_template = "cleanup/form_before.html"

    class Media:
        css: ClassVar = {"all": ("cleanup/cleanup.css",)}

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        verbs: dict[str, Any] = {
            name: getattr(views, name) for name in ("detail", "preview", "enable", "disable", "ask")
        }
        verbs |= {"approve": approval_views.approve, "refuse": approval_views.refuse}
        own: list[URLPattern] = [
            path(f"<int:object_id>/{name}/", wrap(view), name=f"cleanup_cleanuppolicy_{name}")
            for name, view in verbs.items()
        ]
        return [
            *own,
            path("live/", wrap(views.live), name="cleanup_cleanuppolicy_live"),
            path("run/<int:cleanup_run_id>/", wrap(run_views.detail), name="cleanup_cleanuprun_change"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[CleanupPolicy]:
        newest = CleanupRun.objects.filter(policy=OuterRef("pk")).order_by("-id")
        rows: QuerySet[CleanupPolicy] = super().get_queryset(request)
        return rows.annotate(
            last_state=Subquery(newest.values("state")[:1]), last_at=Subquery(newest.values("started_at")[:1])
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The form names its own fields; saving them is the services' business, not the form's.
        kwargs["fields"] = ()
        form = super().get_form(request, obj, change=change, **kwargs)
        bases = (_ShownAgain, form) if "do" in request.POST else (form,)
        return type("PolicyForm", bases, {"actor": request.user})

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        if object_id is not None and request.method == "GET" and self.has_view_permission(request):
            stored = self.get_object(request, object_id)
            if stored is not None and not self.has_change_permission(request, stored):
                return HttpResponseRedirect(reverse("admin:cleanup_cleanuppolicy_detail", args=[stored.pk]))
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: CleanupPolicy, form: PolicyForm, change: bool) -> None:
        services.save_policy(request.user, form.draft().put_on(obj))

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
        return chip("good", "On") if obj.is_enabled else chip("quiet", "Off")

    @admin.display(description="Cleans")
    def what(self, obj: CleanupPolicy) -> str:
        return ", ".join(targets.label(key) for key in obj.targets)

    @admin.display(description="Older than", ordering="days")
    def age(self, obj: CleanupPolicy) -> str:
        return words.counted(obj.days, "day")

    @admin.display(description="Last run")
    def last(self, obj: Any) -> SafeString | str:
        if obj.last_at is None:
            return "Not yet"
        return format_html(
            "{} {}", chip(policy_page.TONES[obj.last_state], CleanupRun.State(obj.last_state).label), when(obj.last_at)
        )


class _ShownAgain(PolicyForm):
    """The form after its button that counts, which is no attempt to save: all that was typed, and no complaint."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Only without scripts does anybody come here; with them the page asks for its preview by itself.
        typed = type("PolicyForm", (PolicyForm,), {"actor": self.actor})(self.data, instance=self.instance)
        cast(Any, self.fields["preview"].widget).shown = live.of_form(typed)

    def is_valid(self) -> bool:
        return False

    @property
    def errors(self) -> ErrorDict:
        return ErrorDict()
