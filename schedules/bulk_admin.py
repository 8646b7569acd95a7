"""What the list does with many schedules at once: pause with one reason, resume."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.admin import ModelAdmin

from runs import form_errors, questions, typing_kept
from runs.pages import page
from runs.row_numbers import row_number
from runs.words import counted
from schedules import bulk
from schedules.models import Schedule
from schedules.verb_forms import PauseForm

NAMED = 10


class BulkVerbs(ModelAdmin):  # type: ignore[misc]
    """The list's actions."""

    actions = ("pause_selected", "resume_selected")

    @typing_kept.keeps_typing
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list; for whoever had to sign in again while they gave the reason of many, that question first."""
        typed = typing_kept.of(request)
        if typed is not None and typed.get("action") == "pause_selected" and self.has_pause_permission(request):
            asked = self.pause_selected(request, Schedule.objects.none())
            if asked is not None:
                return asked
        answer = super().changelist_view(request, extra_context)
        if request.method == "POST":
            typing_kept.forget(request, answer)
        return answer

    def get_actions(self, request: HttpRequest) -> dict[str, object]:
        """Without the stock deletion of many, which would go past the service."""
        actions: dict[str, object] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("schedules.pause_schedule"))

    @admin.action(description="Pause…", permissions=["pause"])
    def pause_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> HttpResponse | None:
        """Asks for the reason once, then pauses each through the same service as its own button."""
        chosen = self._chosen(request, queryset)
        if not chosen:
            return None
        form = PauseForm(**questions.answered(request, "confirmed"), time_zone=timezone.get_current_timezone_name())
        if form.is_bound and form.is_valid():
            try:
                self._tell(request, bulk.pause_many(request.user, chosen, **form.cleaned_data), "paused.")
            except ValidationError as error:
                form_errors.show(form, error)
            else:
                return None
        schedules = (
            Schedule.objects.filter(pk__in=chosen).order_by("periodic_task__name").select_related("periodic_task")
        )
        title = f"Pause {counted(len(schedules), 'schedule')}"
        return page(request, "schedules/pause_many.html", {"schedules": schedules, "form": form, "title": title})

    @admin.action(description="Resume", permissions=["pause"])
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        """Resumes each; nothing that fell into a pause is run. A schedule's own button offers to make up for it."""
        if chosen := self._chosen(request, queryset):
            outcome = bulk.resume_many(request.user, chosen)
            self._tell(request, outcome, "resumed. Nothing that fell into a pause was run.")

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> list[int]:
        """The chosen schedules' numbers; none, and said why, when they are more than go at once."""
        sent = typing_kept.of(request) or request.POST
        if sent.get("select_across") == "1" and "confirmed" not in sent:
            chosen = list(queryset.order_by("pk").values_list("pk", flat=True)[: bulk.MOST + 1])
        else:
            # As they were chosen: one that has left this tab or was deleted since then is named, not dropped.
            listed = sent.getlist(ACTION_CHECKBOX_NAME)
            chosen = list(dict.fromkeys(number for number in map(row_number, listed) if number is not None))
        if len(chosen) <= bulk.MOST:
            return chosen
        total = max(len(chosen), queryset.count())
        self.message_user(
            request,
            f"{total:,} schedules are selected; at most {bulk.MOST} go at once. Nothing was changed. "
            "Filter the list, or use “Pause everything”.",
            messages.WARNING,
        )
        return []

    def _tell(self, request: HttpRequest, outcome: bulk.Outcome, done: str) -> None:
        level = messages.SUCCESS if outcome.done else messages.INFO
        self.message_user(request, f"{counted(outcome.done, 'schedule')} {done}", level)
        if left := outcome.left_alone:
            more = f" And {len(left) - NAMED} more." if len(left) > NAMED else ""
            self.message_user(request, f"Left alone: {'; '.join(left[:NAMED])}.{more}", messages.WARNING)
