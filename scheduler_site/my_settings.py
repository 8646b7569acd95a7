"""My settings: what each member of staff chooses for themselves."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone, translation
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from runs import audit, form_errors, words
from runs.models import StaffSettings
from runs.pages import page
from schedules import zones

FIELDS = ("time_zone", "date_language", "mail")


def languages() -> list[tuple[str, str]]:
    """The languages that Django can say dates in, each by its own name; English first."""
    known = [
        code for code, _ in settings.LANGUAGES if translation.check_for_language(code) and not code.startswith("en")
    ]
    named = sorted(((code, _own_name(code)) for code in known), key=lambda pair: pair[1].casefold())
    return [("", "English"), ("en", "English (United States)"), *named]


def _own_name(code: str) -> str:
    name = str(LANG_INFO.get(code, {}).get("name_local", code))
    return name[:1].upper() + name[1:]


class MySettingsForm(forms.Form):
    """The fields of the page."""

    time_zone = forms.CharField(
        label="Time zone", required=False, max_length=64,
        widget=UnfoldAdminTextInputWidget(attrs={"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    date_language = forms.ChoiceField(
        label="Language of dates", required=False, choices=languages, widget=UnfoldAdminSelectWidget,
        help_text="How days and months are written. Everything else stays English.",
    )  # fmt: skip
    mail = forms.ChoiceField(
        label="Mail about problems", choices=StaffSettings.Mail.choices, widget=UnfoldAdminRadioSelectWidget
    )


def save_settings(actor: User, values: dict[str, str]) -> StaffSettings:
    """Keeps what a person chose for themselves.

    Raises:
        ValidationError: the time zone is none.
    """
    name = _zone_name(values["time_zone"])
    with transaction.atomic():
        chosen, _ = StaffSettings.objects.select_for_update().get_or_create(user=actor)
        before = {field: getattr(chosen, field) for field in FIELDS}
        after = {**{field: values[field] for field in FIELDS}, "time_zone": name}
        changed = [field for field in FIELDS if before[field] != after[field]]
        for field in changed:
            setattr(chosen, field, after[field])
        if changed:
            chosen.save(update_fields=changed)
            audit.record(
                actor, "changed their own settings", chosen,
                before={field: before[field] for field in changed}, after={field: after[field] for field in changed},
            )  # fmt: skip
    return chosen


def _zone_name(typed: str) -> str:
    """The zone's own spelling: "europe/berlin" and "Berlin" are both understood; empty is the installation's."""
    text = "_".join(typed.split())
    if not text:
        return ""
    offered = ["UTC", *zones.offered()]
    same = [name for name in offered if name.casefold() == text.casefold()]
    same = same or [name for name in offered if name.casefold().endswith(f"/{text.casefold()}")]
    if same:
        return same[0]
    try:
        return zones.zone(text).key
    except zones.UnknownZone as error:
        near = [name.replace("_", " ") for name in offered if text.casefold() in name.casefold()][:3]
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise ValidationError({"time_zone": f"{error}{hint}"}) from error


@require_http_methods(["GET", "HEAD", "POST"])
def my_settings(request: HttpRequest) -> HttpResponse:
    """The page; everybody in the admin has one."""
    assert isinstance(request.user, User)
    chosen = StaffSettings.objects.filter(user=request.user).first() or StaffSettings(user=request.user)
    initial = {field: getattr(chosen, field) for field in FIELDS}
    form = MySettingsForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            save_settings(request.user, form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, "Saved. Times and dates are shown this way from now on.")
            return HttpResponseRedirect(reverse("admin:my_settings"))
    context: dict[str, Any] = {
        "form": form,
        "title": "My settings",
        "zones": ["UTC", *zones.offered()],
        "house_zone": timezone.get_default_timezone_name(),
        "example": words.here(timezone.now()),
        "address": request.user.email,
    }
    return page(request, "scheduler_site/my_settings.html", context, status=422 if form.errors else 200)
