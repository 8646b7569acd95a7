"""Holds: what must be kept, and why. A hold is added or released, never changed."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from cleanup import hold_form, holding
from cleanup.hold_form import HoldForm
from cleanup.models import Hold
from runs import clock, words
from runs.pages import chip, when

_FIELDS = ("what", "object_id", "value")


@admin.register(Hold)
class HoldAdmin(ModelAdmin):  # type: ignore[misc]
    """The list of holds in words, the form of a new one, and the release."""

    form = HoldForm
    list_display = ("keeps", "state", "by", "release")
    list_select_related = ("created_by",)
    ordering = ("-id",)
    actions = None
    when_empty = "Nothing is held."
    list_per_page = 50
    warn_unsaved_form = True
    compressed_fields = False
    change_form_show_cancel_button = True
    list_before_template = "cleanup/holds_before.html"
    delete_confirmation_template = "cleanup/release_hold.html"

    class Media:
        css: ClassVar = {"all": ("cleanup/cleanup.css",)}

    @property
    def conditional_fields(self) -> dict[str, str]:
        """Which field asks depends on what is kept; targets may be announced late."""
        return hold_form.shown_when()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return [("", {"fields": ("keeps", "state", "ends", "by")})]
        return [("", {"fields": (*_FIELDS, *hold_form.chosen_from(), "reason", "until")})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("keeps", "state", "ends", "by") if obj is not None else ()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = ()
        if obj is not None:
            return super().get_form(request, obj, change=change, **{**kwargs, "form": forms.ModelForm})
        more: dict[str, Any] = {name: hold_form.field_for(one) for name, one in hold_form.chosen_from().items()}
        form = type("HoldForm", (HoldForm,), more)
        return super().get_form(request, obj, change=change, **{**kwargs, "form": form})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        context = {"title": "Add a hold" if object_id is None else "Hold", **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_list_display(self, request: HttpRequest) -> Any:
        return self.list_display if self.has_delete_permission(request) else self.list_display[:-1]

    def save_model(self, request: HttpRequest, obj: Hold, form: HoldForm, change: bool) -> None:
        obj.pk = holding.add_hold(request.user, **form.wanted()).pk
        obj.refresh_from_db()

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Asks whether to release it; says in words what it keeps."""
        hold = self.get_object(request, object_id)
        context = {"keeps": self.keeps(hold) if hold is not None else "", "title": "Release a hold"}
        response: HttpResponse = super().delete_view(request, object_id, {**context, **(extra_context or {})})
        return response

    def delete_model(self, request: HttpRequest, obj: Hold) -> None:
        holding.release_hold(request.user, obj.pk)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        messages.success(request, "The hold is released. What it kept may be deleted from the next run on.")
        return HttpResponseRedirect(reverse("admin:cleanup_hold_changelist"))

    @admin.display(description="What is kept, and why")
    def keeps(self, obj: Hold) -> str:
        return holding.in_words(obj)

    @admin.display(description="State")
    def state(self, obj: Hold) -> SafeString:
        is_over = obj.until is not None and obj.until <= clock.now()
        return chip("quiet", "Over") if is_over else chip("good", "Keeps")

    @admin.display(description="Until", ordering="until")
    def ends(self, obj: Hold) -> SafeString | str:
        return when(obj.until) if obj.until is not None else "It is released"

    @admin.display(description="")
    def release(self, obj: Hold) -> SafeString:
        url = reverse("admin:cleanup_hold_delete", args=[obj.pk])
        return format_html(
            '<a class="al-button" href="{}">Release…<span class="al-hidden"> {}</span></a>', url, holding.in_words(obj)
        )

    @admin.display(description="Set by")
    def by(self, obj: Hold) -> str:
        return f"{obj.created_by or 'Almanac'}, {words.here(obj.created_at)}"
