"""A list without rows says what will stand in it, and a list that was narrowed leads back to all of it."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from scheduler_site import urls

assert urls.urlpatterns, "the admin's pages are registered with the addresses"
OURS = [model for model in admin.site._registry if model._meta.app_label == "newsletters"]


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: str(model.__name__))
def test_an_empty_list_says_what_will_stand_in_it(client: Client, model: type) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    address = reverse(f"admin:newsletters_{model._meta.model_name}_changelist")  # type: ignore[attr-defined]
    shown = client.get(address).content.decode()
    assert escape(admin.site._registry[model].when_empty) in shown  # type: ignore[attr-defined]
    assert "No results found" not in shown
    assert "Nothing fits what you chose" in client.get(address, {"q": "x@example.org"}).content.decode()
