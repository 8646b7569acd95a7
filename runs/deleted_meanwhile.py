"""The form of a row that somebody else deleted while it was being edited: what was typed is offered as a new row."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin

from runs import words
from runs.models import AuditEntry


class KeepsWhatWasTyped(ModelAdmin):  # type: ignore[misc]
    """For the admin of a model whose deletions are in the activity log."""

    class Media:
        js = ("runs/form_action.js",)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except self.model.DoesNotExist:
            # Deleted between the look at it and the write.
            if object_id is None or request.method != "POST" or self.get_object(request, object_id) is not None:
                raise
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Django's own name for it: it would drop what was typed and lead to the front page."""
        sentence = f"{self._deletion(object_id)}."
        match = request.resolver_match
        is_typed = request.method == "POST" and match is not None and str(match.url_name).endswith("_change")
        if is_typed and self.has_add_permission(request):
            kept = f"What you typed is kept below: save it to make it a new {opts.verbose_name}, or leave the page."
            self.message_user(request, f"{sentence} {kept}", messages.WARNING)
            request.deleted_meanwhile = True  # type: ignore[attr-defined]
            shown: HttpResponse = self.add_view(request, reverse(f"admin:{opts.app_label}_{opts.model_name}_add"))
            return shown
        lost = " What you typed could not be saved, and you may not add a new one." if is_typed else ""
        self.message_user(request, sentence + lost, messages.WARNING)
        return HttpResponseRedirect(reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return _shown_only(form) if getattr(request, "deleted_meanwhile", False) and obj is None else form

    def _deletion(self, object_id: str) -> str:
        """ "“Weekly letter” was deleted by Anna (5 minutes ago, Mon 3 Aug 2026, 09:00 CEST)"."""
        deleted = AuditEntry.objects.filter(
            object_type=self.opts.label_lower, object_id=object_id[:40], action__startswith="deleted", was_refused=False
        )
        entry = deleted.order_by("-id").first()
        if entry is None:
            return f"This {self.opts.verbose_name} does not exist; perhaps it was deleted"
        who = f" by {entry.actor_name}" if entry.actor_name else ""
        return f"“{entry.object_label}” was deleted{who} ({words.relative(entry.at)}, {words.here(entry.at)})"


def _shown_only(form: type[forms.BaseForm]) -> type[forms.BaseForm]:
    """The form with all that was typed and what is wrong with it; this once it is not saved, whatever it holds."""

    class ShownOnly(form):  # type: ignore[valid-type,misc]
        def is_valid(self) -> bool:
            super().is_valid()
            return False

    return ShownOnly
