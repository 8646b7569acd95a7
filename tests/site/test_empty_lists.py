"""A list without rows says what will stand in it, and a list that was narrowed leads back to all of it."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from reports.models import Artefact, ReportRun
from runs.models import Run
from scheduler_site import urls
from schedules.models import Schedule

assert urls.urlpatterns, "the admin's pages are registered with the addresses"
OWN_PAGES = {Run, Schedule, Artefact, ReportRun}
"""Lists with a page of their own, which says it in its own words."""
OURS = [
    model for model in admin.site._registry if model not in OWN_PAGES and not model.__module__.startswith("django.")
]


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: str(model.__name__))
def test_an_empty_list_says_what_will_stand_in_it(client: Client, model: type) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    shown = client.get(address).content.decode()
    assert escape(admin.site._registry[model].when_empty) in shown  # type: ignore[attr-defined]
    assert "No results found" not in shown
    title = shown.partition("<title>")[2].partition("</title>")[0].strip().lower()
    assert title == f"{model._meta.verbose_name_plural} | almanac".lower()  # type: ignore[attr-defined]
    assert "Nothing fits what you chose" in client.get(address, {"q": "x@example.org"}).content.decode()
