"""Deleting a thing that schedules may run: the page says beforehand which of them still do, and refuses in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from runs.addresses import of_row
from schedules import targets

LISTED = 20
"""Schedules that the page names."""


class KeptWhileScheduled(ModelAdmin):  # type: ignore[misc]
    """An admin of things that schedules run; ``delete_model`` calls the service, which has the last word."""

    delete_confirmation_template = "schedules/delete_target.html"
    deletion_keeps = ""
    """What deleting one leaves as it is, in a sentence for the page that asks."""

    def get_deleted_objects(self, objs: Iterable[Model], request: HttpRequest) -> Any:
        """Nothing else goes with it, as far as staff are concerned; its schedules protect it, also in bulk."""
        things = list(objs)
        protecting = [words for thing in things if (words := targets.still_used(thing))]
        return [str(thing) for thing in things], {self.opts.verbose_name_plural: len(things)}, set(), protecting

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Asks; or names the schedules that have to be deleted or changed first."""
        thing = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = {"keeps": self.deletion_keeps}
        if thing is not None and self.has_delete_permission(request, thing):
            used = targets.schedules_of(thing)
            context |= {"used_by": _links(request, used[:LISTED]), "used_by_more": max(0, used.count() - LISTED)}
        try:
            response: HttpResponse = super().delete_view(request, object_id, {**context, **(extra_context or {})})
        except ValidationError as error:  # put on a schedule since the page was shown
            messages.error(request, " ".join(error.messages))
            return HttpResponseRedirect(request.path)
        return response

    def delete_queryset(self, request: HttpRequest, queryset: Iterable[Model]) -> None:
        """Several at once, by the same service: all of them or none."""
        with transaction.atomic():
            for thing in queryset:
                self.delete_model(request, thing)


def _links(request: HttpRequest, schedules: Any) -> list[SafeString | str]:
    """The schedules by name, with their pages for those who may see them."""
    if not request.user.has_perm("schedules.view_schedule"):
        return [schedule.name for schedule in schedules]
    return [
        format_html(
            '<a class="al-button" href="{}">Open “{}”</a>', of_row("admin:schedules_schedule_detail", one.pk), one.name
        )
        for one in schedules
    ]
