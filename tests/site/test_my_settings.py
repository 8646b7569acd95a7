"""My settings: each person's clock, dates and mails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.utils import timezone

from runs import alerts, words
from runs.models import AuditEntry, StaffSettings
from scheduler_site import my_settings

pytestmark = pytest.mark.django_db
PAGE = "/admin/my-settings/"
MOMENT = datetime(2026, 8, 3, 7, 0, tzinfo=UTC)
GOOD = {"time_zone": "Europe/Rome", "date_language": "it", "mail": "all"}


@pytest.fixture
def anna(client: Client) -> User:
    user = User.objects.create_user("anna", "anna@example.org", is_staff=True)
    client.force_login(user)
    return user


def test_everybody_in_the_admin_finds_it_in_the_menu(client: Client, anna: User) -> None:
    html = client.get("/admin/").content.decode()
    assert f'href="{PAGE}"' in html and 'href="/admin/password_change/"' in html


def test_what_is_chosen_is_kept_and_noted(client: Client, anna: User) -> None:
    assert client.post(PAGE, GOOD).status_code == 302
    kept = StaffSettings.objects.get(user=anna)
    assert (kept.time_zone, kept.date_language, kept.mail) == ("Europe/Rome", "it", "all")
    entry = AuditEntry.objects.get()
    assert entry.before == {"time_zone": "", "date_language": "", "mail": "mine"} and entry.after == GOOD
    client.post(PAGE, GOOD)
    assert AuditEntry.objects.count() == 1, "nothing changed, nothing noted"


def test_the_page_shows_times_as_chosen(client: Client, anna: User) -> None:
    client.post(PAGE, GOOD)
    html = client.get(PAGE).content.decode()
    now = timezone.now()
    with words.dates_in("it"):
        assert words.local(now, "Europe/Rome").partition(",")[0] in html
    assert "CET" in html or "CEST" in html
    assert timezone.get_current_timezone_name() == "UTC", "only for that request"
    assert words.day(MOMENT) == "Mon 3 Aug 2026"


def test_one_persons_clock_is_nobody_elses(client: Client, anna: User) -> None:
    client.post(PAGE, GOOD)
    client.force_login(User.objects.create_user("ben", is_staff=True))
    assert "UTC</strong>" in client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("utc", "UTC"),
        ("", ""),
    ],
)
def test_a_zone_is_understood_as_people_write_it(client: Client, anna: User, typed: str, kept: str) -> None:
    assert client.post(PAGE, {**GOOD, "time_zone": typed}).status_code == 302
    assert StaffSettings.objects.get(user=anna).time_zone == kept


def test_a_wrong_zone_is_said_at_the_field_with_near_ones_and_nothing_is_lost(client: Client, anna: User) -> None:
    answer = client.post(PAGE, {**GOOD, "time_zone": "Berl"})
    html = answer.content.decode()
    assert answer.status_code == 422 and "is not a time zone" in html and "Did you mean Europe/Berlin?" in html
    assert 'value="Berl"' in html and '<option value="it" selected>' in html
    assert not StaffSettings.objects.exists()
    assert '<option value="Europe/Berlin"></option>' in html, "the suggestions"


def test_a_zone_that_no_longer_exists_does_not_lock_anybody_out(client: Client, anna: User) -> None:
    StaffSettings.objects.create(user=anna, time_zone="Mars/Base", date_language="xx")
    assert client.get(PAGE).status_code == 200


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("", "Mon 3 Aug 2026"), ("de", "Mo 3. August 2026"), ("fr", "lun 3 août 2026"),
        ("es", "lun 3 de agosto de 2026"), ("it", "Lun 03 Agosto 2026"), ("nl", "ma 3 augustus 2026"), ("xx", "Mon 3 Aug 2026"),
    ],
)  # fmt: skip
def test_dates_are_said_in_the_readers_language(language: str, said: str) -> None:
    with words.dates_in(language):
        assert words.day(MOMENT) == said
        assert words.local(MOMENT, "Europe/Berlin") == f"{said}, 09:00 CEST"


def test_every_language_offered_can_say_a_date() -> None:
    offered = dict(my_settings.languages())
    assert {"Deutsch", "Français", "Español", "Italiano", "Nederlands"} <= set(offered.values())
    for language in offered:
        with words.dates_in(language):
            assert "2026" in words.day(MOMENT)


def alert(owner: User | None) -> None:
    alerts.raise_alert("broken:1", "Weekly is broken", owner_id=None if owner is None else owner.pk)
    alerts.deliver()


@pytest.fixture
def told(settings: Any) -> Any:
    """Who got a mail."""
    settings.ALERT_MAIL, settings.ALERT_URLS = [], []
    return lambda: sorted(address for message in mail.outbox for address in message.to)


@pytest.mark.parametrize(("choice", "own", "others"), [("none", 0, 0), ("mine", 1, 0), ("all", 1, 1)])
def test_mails_about_problems_come_as_chosen(anna: User, told: Any, choice: str, own: int, others: int) -> None:
    anna.user_permissions.add(Permission.objects.get(codename="view_alert"))
    StaffSettings.objects.create(user=anna, mail=choice)
    alert(anna)
    assert told() == ["anna@example.org"] * own
    mail.outbox.clear()
    alerts.raise_alert("broken:2", "Another one is broken")
    alerts.deliver()
    assert told() == ["anna@example.org"] * others


def test_all_takes_the_right_to_see_alerts_and_an_account_that_is_on(told: Any) -> None:
    for name, active in (("may-not", True), ("gone", False)):
        user = User.objects.create_superuser(name, f"{name}@example.org", is_active=active)
        User.objects.filter(pk=user.pk).update(is_superuser=name == "gone")
        StaffSettings.objects.create(user=user, mail="all")
    alert(None)
    assert told() == []
