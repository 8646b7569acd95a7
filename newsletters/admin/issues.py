"""The list of issues, and the addresses of everything that is done with one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from newsletters import issue_page, issue_verbs, issue_views, recipients_views
from newsletters.models import Issue
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.pages import chip

_State = Issue.State
TABS: dict[str, tuple[str, tuple[str, ...]]] = {
    "drafts": ("Drafts", (_State.DRAFT,)),
    "approval": ("Waiting for approval", (_State.APPROVAL,)),
    "scheduled": ("Scheduled", (_State.SCHEDULED,)),
    "sending": ("Being sent", (_State.PREPARING, _State.RUNNING, _State.PAUSED)),
    "sent": ("Sent", Issue.FINISHED),
}


class TabFilter(admin.SimpleListFilter):
    """Where an issue is on its way."""

    title = "state"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in TABS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Issue]) -> QuerySet[Issue]:
        chosen = TABS.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(state__in=chosen[1])


@admin.register(Issue)
class IssueAdmin(ReadOnlyAdmin):
    """What was sent and what is to be, newest first; an issue's page is in issue_views.py."""

    when_empty = (
        "No issue yet. One is made each time a newsletter goes out; you can also write one for a time of its own."
    )
    list_display = ("state_chip", "name", "due", "progress", "problems")
    list_display_links = None
    list_filter = (TabFilter,)
    search_fields = ("newsletter__name", "subject")
    search_help_text = "Search by newsletter or subject"
    list_select_related = ("newsletter", "author")
    list_before_template = "newsletters/admin/_issue_tabs.html"
    ordering = (F("scheduled_for").desc(nulls_first=True), "-pk")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Issue]:
        rows: QuerySet[Issue] = super().get_queryset(request)
        return rows.defer("html", "text", "body")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        (spec,) = changelist.filter_specs
        current = spec.value() or ""
        changelist.tabs = [
            (
                label,
                changelist.get_query_string({"shown": key} if key else {}, ["p"] if key else ["p", "shown"]),
                key == current,
            )
            for key, label in [*((key, label) for key, (label, _) in TABS.items()), ("", "All")]
        ]
        # Unfold's button for filters is no button: the keyboard cannot reach it. The tabs replace it.
        changelist.has_filters = False
        return changelist

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        return lookup == "newsletter__id__exact" or bool(super().lookup_allowed(lookup, value, request))

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        at_once = {
            "submit": issue_verbs.submit,
            "withdraw": issue_verbs.withdraw,
            "pause": issue_verbs.pause,
            "resume": issue_verbs.resume,
            "change-rate": issue_verbs.change_rate,
            "retry-failed": issue_verbs.retry_failed,
            "decide-uncertain": issue_verbs.decide_uncertain,
        }
        others = {
            "edit": issue_views.edit,
            "approve": issue_verbs.approve,
            "refuse": issue_verbs.refuse,
            "move": issue_verbs.move,
            "send-now": issue_verbs.send_now,
            "delete-draft": issue_verbs.delete,
            "duplicate": issue_verbs.duplicate,
            "cancel": issue_verbs.cancel,
            "recipients": recipients_views.index,
            "recipients-download": recipients_views.download,
        }
        own = [
            path("add/", wrap(issue_views.add), name="newsletters_issue_add"),
            path("new/", wrap(issue_views.new), name="newsletters_issue_new"),
            path("<int:issue_id>/change/", wrap(issue_views.issue), name="newsletters_issue_change"),
        ]
        for argument, verbs in (("object_id", at_once), ("issue_id", others)):
            own += [
                path(f"<int:{argument}>/{verb}/", wrap(view), name=f"newsletters_issue_{verb.replace('-', '_')}")
                for verb, view in verbs.items()
            ]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    @admin.display(description="State", ordering="state")
    def state_chip(self, obj: Issue) -> SafeString:
        return chip(issue_page.TONES.get(_State(obj.state), "quiet"), obj.get_state_display())

    @admin.display(description="Newsletter", ordering="newsletter__name")
    def name(self, obj: Issue) -> SafeString:
        return format_html(
            '<a class="al-name" href="{}">{}</a><span class="al-sub">{}</span>',
            reverse("admin:newsletters_issue_change", args=[obj.pk]), obj.newsletter, obj.subject,
        )  # fmt: skip

    @admin.display(description="For", ordering="scheduled_for")
    def due(self, obj: Issue) -> SafeString | str:
        if obj.scheduled_for is None:
            return "No time yet"
        return format_html(
            '{}<span class="al-sub">{}</span>', words.relative(obj.scheduled_for), words.here(obj.scheduled_for)
        )

    @admin.display(description="Sent")
    def progress(self, obj: Issue) -> str:
        if obj.state in Issue.CHANGEABLE:
            return f"Written by {obj.author}" if obj.author else "Usual text"
        return f"{obj.sent:,} of {obj.planned:,}"

    @admin.display(description="Problems")
    def problems(self, obj: Issue) -> str:
        counted = (
            (obj.failed, "failed"),
            (obj.uncertain, "uncertain"),
            (obj.skipped, "left out"),
            (obj.bounced, "bounced"),
        )
        said = ", ".join(f"{number:,} {word}" for number, word in counted if number)
        return said or ("None" if obj.is_finished else "–")
