"""A sender's address must be ours."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from newsletters import senders
from newsletters.models import List, Newsletter
from tests.newsletters.test_admin import newsletter_form


@pytest.mark.parametrize(
    ("domains", "own", "email", "is_ours"),
    [
        ([], "Almanac <a@example.org>", "desk@example.org", True),
        ([], "Almanac <a@example.org>", "Desk@News.Example.ORG", True),
        ([], "Almanac <a@example.org>", "desk@badexample.org", False),
        ([], "Almanac <a@example.org>", "desk@gmail.com", False),
        (["city.example", "@park.example"], "a@example.org", "x@park.example", True),
        (["city.example"], "a@example.org", "x@example.org", False),
        (["bücher.example"], "a@example.org", "x@other.example", False),
        ([], "a@127.0.0.1", "x@anything.example", True),
        ([], "a@localhost", "x@anything.example", True),
    ],
)
def test_which_addresses_are_ours(settings: Settings, domains: list[str], own: str, email: str, is_ours: bool) -> None:
    settings.SENDER_DOMAINS, settings.DEFAULT_FROM_EMAIL = domains, own
    assert (senders.refusal(email) == "") is is_ours


@pytest.mark.django_db
def test_a_sender_of_another_domain_is_refused_in_words(client: Client, city_news: List, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "Almanac <almanac@city.example>"
    client.force_login(User.objects.create_superuser("ada"))
    form = newsletter_form(city_news, from_email="mayor@gmail.com")
    response = client.post("/admin/newsletters/newsletter/add/", form)
    (words,) = response.context["adminform"].form.errors["from_email"]
    assert words.startswith("We cannot send for gmail.com")
    assert "ends in @city.example" in words
    assert not Newsletter.objects.exists()
