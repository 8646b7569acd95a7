"""The demo readers and newsletters load on an empty database, and again, and can be sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from newsletters import audience
from newsletters.models import List, Newsletter, Subscriber, Subscription
from runs.models import Run
from tests.newsletters.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(db: None) -> None:
    call_command("loaddata", "demo_newsletters", verbosity=0)


def test_the_lists_hold_who_they_say() -> None:
    counted = audience.count(List.objects.filter(slug="city-news").values_list("pk", flat=True))
    assert (counted.recipients, counted.unconfirmed) == (200, 12)
    assert audience.count(List.objects.filter(slug="staff").values_list("pk", flat=True)).recipients == 3


def test_the_unconfirmed_are_old_enough_to_be_cleaned_up() -> None:
    pending = Subscription.objects.filter(state=Subscription.State.PENDING)
    assert pending.filter(created_at__lt=timezone.now() - timedelta(days=30)).count() == 12


def test_the_names_are_in_many_scripts() -> None:
    scripts = {
        unicodedata.name(letter).split()[0]
        for name in Subscriber.objects.values_list("name", flat=True)
        for letter in name
        if letter.isalpha()
    }
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "CJK", "HANGUL"} <= scripts


def test_loading_it_twice_adds_nothing() -> None:
    before = (Subscriber.objects.count(), Subscription.objects.count(), Newsletter.objects.count())
    call_command("loaddata", "demo_newsletters", verbosity=0)
    assert (Subscriber.objects.count(), Subscription.objects.count(), Newsletter.objects.count()) == before


def test_the_weekly_letter_reaches_all_200_and_the_archive(
    smtp_server: SmtpServer, perform: Callable[..., Run], client: Client
) -> None:
    letter = Newsletter.objects.get(name="Weekly letter")
    assert perform(letter).result == "200 sent."
    assert "City news for our readers" in client.get("/archive/").content.decode()
    assert len(set(smtp_server.recipients)) == 200
    for mail in smtp_server.received:
        name = Subscriber.objects.get(email_norm=mail.recipient).name
        assert name in mail.body("html")
        assert len(mail.header_lines("List-Unsubscribe")) == 1
