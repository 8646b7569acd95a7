"""What was typed into a question outlives the session: after signing in again it is asked once more, and nothing was done."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client
from django.urls import reverse

from cleanup.models import CleanupPolicy
from runs import audit, questions, typing_kept
from runs.models import AuditEntry, QueuePause
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import DeskPause, Schedule

pytestmark = pytest.mark.django_db
WORDS = "Waiting for the “new” <logo> & Ümläute"


@pytest.fixture
def anna() -> User:
    return User.objects.create_superuser("anna", "anna@example.org", "a-long-secret-1")


@pytest.fixture
def schedule() -> Schedule:
    policy = CleanupPolicy.objects.create(name="Old", targets=["sessions"], days=30, is_enabled=True)
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
    return services.create_schedule(None, draft)


def address(verb: str, schedule: Schedule) -> str:
    return reverse(f"admin:schedules_schedule_{verb}", args=[schedule.pk])


def send_too_late(client: Client, url: str, data: dict[str, Any], user: User, **headers: Any) -> Any:
    """Sends the form of a question whose session has just ended; leads to the sign-in page."""
    Session.objects.all().delete()
    answer = client.post(url, {"asked_of": user.pk, **data}, **headers)
    assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    return answer


def test_the_reason_of_a_pause_is_there_after_signing_in_again(client: Client, anna: User, schedule: Schedule) -> None:
    client.force_login(anna)
    url, page = address("pause", schedule), reverse("admin:schedules_schedule_changelist")
    data = {"reason": WORDS, "until": "2099-12-24T18:00", "next": f"{page}?status=active"}
    send_too_late(client, url, data, anna)
    client.force_login(anna)
    asked = client.get(url)
    form = asked.context["form"]
    assert asked.status_code == 200 and not form.is_bound and form["reason"].value() == WORDS
    assert 'value="2099-12-24T18:00"' in asked.content.decode() and asked.context["back"] == f"{page}?status=active"
    assert questions.STILL_TO_DO in asked.content.decode()
    schedule.refresh_from_db()
    assert not schedule.is_paused and not AuditEntry.objects.filter(action__startswith="paused").exists()

    done = client.post(url, {"asked_of": anna.pk, **data})
    schedule.refresh_from_db()
    assert done.status_code == 302 and schedule.pause_reason == WORDS
    assert client.get(url).status_code == 405, "answered: nothing is asked again"


def test_a_button_pressed_too_late_asks_before_it_acts(client: Client, anna: User, schedule: Schedule) -> None:
    for verb, word in (("skip_next", "Skip the next run"), ("run_now", "Run now"), ("pause", "Pause")):
        client.force_login(anna)
        send_too_late(client, address(verb, schedule), {"form_key": "a" * 32}, anna)
        client.force_login(anna)
        asked = client.get(address(verb, schedule))
        assert asked.status_code == 200 and f">{word}</button>" in asked.content.decode(), verb
        assert "a" * 32 not in asked.content.decode()
    services.pause_schedule(None, schedule.pk, reason="x")
    client.force_login(anna)
    send_too_late(client, address("resume", schedule), {"run": "latest"}, anna)
    client.force_login(anna)
    text = client.get(address("resume", schedule)).content.decode()
    assert ">Resume</button>" in text and "No run was left out" in text
    schedule.refresh_from_db()
    assert schedule.skip_at is None and schedule.is_paused


def test_everything_a_queue_and_many_at_once_are_asked_again(client: Client, anna: User, schedule: Schedule) -> None:
    changelist = reverse("admin:schedules_schedule_changelist")
    many = {"action": "pause_selected", "confirmed": "1", "_selected_action": [str(schedule.pk)], "reason": WORDS}
    for url, data in (
        (reverse("admin:schedules_schedule_pause_everything"), {"reason": WORDS}),
        (reverse("admin:queue_pause", args=["reports"]), {"reason": WORDS}),
        (changelist, many),
    ):
        client.force_login(anna)
        send_too_late(client, url, data, anna)
        client.force_login(anna)
        asked = client.get(url)
        assert asked.context["form"]["reason"].value() == WORDS and not asked.context["form"].is_bound, url
    assert [str(one) for one in asked.context["schedules"]] == ["Nightly"]
    assert not DeskPause.objects.exists() and not QueuePause.objects.exists()
    schedule.refresh_from_db()
    assert not schedule.is_paused

    client.post(changelist, many)
    schedule.refresh_from_db()
    assert schedule.pause_reason == WORDS
    assert "form" not in client.get(changelist).context, "the list again"


def test_a_stretch_of_the_past_is_listed_again_and_not_run(client: Client, anna: User, schedule: Schedule) -> None:
    client.force_login(anna)
    data = {"start": "2026-11-01T00:00", "end": "2026-11-02T00:00", "form_key": "a" * 32}
    send_too_late(client, address("backfill", schedule), data, anna)
    client.force_login(anna)
    asked = client.get(address("backfill", schedule))
    assert asked.context["form"]["start"].value() == "2026-11-01T00:00" and asked.context["is_listed"]


def test_somebody_else_who_signs_in_there_sees_nothing_of_it(client: Client, anna: User, schedule: Schedule) -> None:
    client.force_login(anna)
    send_too_late(client, address("pause", schedule), {"reason": WORDS}, anna)
    client.force_login(User.objects.create_superuser("berta"))
    answer = client.get(address("pause", schedule))
    assert answer.status_code == 405 and "Waiting for" not in answer.content.decode()
    assert "Nothing was changed" in answer.content.decode()


def test_it_is_bounded_in_size_and_time_and_never_holds_a_secret(
    client: Client, anna: User, schedule: Schedule
) -> None:
    url = address("pause", schedule)
    sent = send_too_late(client, url, {"reason": "x", "password": "a-long-secret-1", "form_key": "k"}, anna)
    cookie = sent.cookies[typing_kept.COOKIE]
    kept = signing.loads(cookie.value, salt="runs.typing_kept")
    assert set(kept["typed"]) == {"reason", "asked_of"}
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (url, True, "Lax")
    assert cookie["max-age"] == timedelta(minutes=30).total_seconds()
    for much in (secrets.token_hex(5000), "x" * 50_000):
        assert typing_kept.COOKIE not in Client().post(url, {"asked_of": 1, "reason": much}).cookies
    assert typing_kept.COOKIE not in Client().post(url, {"reason": "x"}).cookies, "from a page that names nobody"
    assert typing_kept.COOKIE not in Client().post(reverse("admin:password_change"), {"asked_of": 1}).cookies


def test_what_is_forged_too_old_or_of_another_address_is_not_shown(
    client: Client, anna: User, schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(anna)
    url, typed = address("pause", schedule), {"asked_of": [str(anna.pk)], "reason": ["x"]}
    other = {"path": "/admin/", "typed": typed}
    for value in ("x", signing.dumps({"path": url, "typed": typed}), signing.dumps(other, salt="runs.typing_kept")):
        client.cookies[typing_kept.COOKIE] = value
        assert client.get(url).status_code == 405, value
    client.cookies[typing_kept.COOKIE] = signing.dumps({"path": url, "typed": typed}, salt="runs.typing_kept")
    assert client.get(url).status_code == 200
    monkeypatch.setattr(typing_kept, "KEPT_FOR", timedelta(seconds=-1))
    assert client.get(url).status_code == 405


def test_a_stale_token_on_our_own_page_asks_once_more_and_elsewhere_it_is_refused(
    anna: User, schedule: Schedule
) -> None:
    careful, url = Client(enforce_csrf_checks=True), address("pause", schedule)
    careful.force_login(anna)
    data = {"asked_of": anna.pk, "reason": WORDS, "csrfmiddlewaretoken": "stale"}
    for origin in ("https://evil.example", "null", ""):
        assert careful.post(url, data, headers={"origin": origin} if origin else {}).status_code == 403
    again = careful.post(url, data, headers={"origin": "http://testserver"})
    assert again.status_code == 302 and again["Location"] == url
    assert careful.get(url).context["form"]["reason"].value() == WORDS
    schedule.refresh_from_db()
    assert not schedule.is_paused
    assert sum(map(audit.attempts, AuditEntry.objects.filter(actor=anna, was_refused=True))) == 4

    del careful.cookies[settings.SESSION_COOKIE_NAME]
    away = careful.post(url, data, headers={"origin": "http://testserver"})
    assert careful.get(away["Location"])["Location"].startswith("/admin/login/?next=")


def test_whoever_pressed_a_button_too_late_comes_back_to_its_page(client: Client, schedule: Schedule) -> None:
    page = f"{reverse('admin:cleanup_cleanuppolicy_detail', args=[schedule.target_id])}?tab=runs"
    url = reverse("admin:cleanup_cleanuppolicy_preview", args=[schedule.target_id])
    answer = client.post(url, headers={"referer": f"http://testserver{page}"})
    assert answer["Location"] == "/admin/login/?" + urlencode({"next": page})
    for elsewhere in ("http://evil.example/admin/", "//evil.example/", "", "http://testserver.evil.example/admin/"):
        answer = client.post(url, headers={"referer": elsewhere})
        assert answer["Location"] == "/admin/login/?" + urlencode({"next": url}, safe="/")
