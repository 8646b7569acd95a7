"""The way to a page is said without saying anything twice."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from newsletters.models import Newsletter
from tests.site.test_pages import links

pytestmark = pytest.mark.django_db
PART = re.compile(r'<(?:a href="[^"]*"|span) class="align-middle inline-block leading-5[^"]*">([^<]*)</(?:a|span)>')


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def way(client: Client, page: str) -> list[str]:
    return [part.strip() for part in PART.findall(client.get(page).content.decode())]


def test_no_way_names_one_thing_twice_or_an_app(boss: Client) -> None:
    ways = {page: way(boss, page) for page in links()}
    assert all(ways.values()), "every page says where one is"
    assert {page: parts for page, parts in ways.items() if len(parts) > 1} == {}


def test_a_thing_is_found_under_its_list(boss: Client) -> None:
    call_command("loaddata", "demo_newsletters", verbosity=0)
    letter = Newsletter.objects.order_by("pk")[0]
    page = reverse("admin:newsletters_newsletter_change", args=[letter.pk])
    assert way(boss, page) == ["Newsletters", letter.name]
    assert way(boss, reverse("admin:newsletters_newsletter_add")) == ["Newsletters", "New"]
