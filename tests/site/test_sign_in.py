"""Signing in, staying signed in, being kept out; the headers and the error pages around it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from axes.signals import user_locked_out
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.utils import timezone

from runs import client_address
from runs.models import AuditEntry
from scheduler_site import views
from scheduler_site.unfold import UNFOLD
from tests.integration.stack import ROOT

pytestmark = pytest.mark.django_db
LOGIN = "/admin/login/"
PASSWORD = "a-long-secret-1"


@pytest.fixture
def anna() -> User:
    return User.objects.create_superuser("anna", "anna@example.org", PASSWORD)


def attempt(client: Client, password: str, name: str = "anna", **more: Any) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, **more)


def test_a_direct_visit_leads_to_the_overview_and_a_deep_link_to_its_page(client: Client, anna: User) -> None:
    assert 'name="next" value="/admin/"' in client.get(LOGIN).content.decode()
    assert attempt(client, PASSWORD)["Location"] == "/admin/"
    other = Client()
    sent = other.get("/admin/runs/run/?shown=failed")["Location"]
    form = other.get(sent).content.decode()
    (wanted,) = re.findall(r'name="next" value="([^"]+)" form="login-form"', form)
    answer = other.post(LOGIN, {"username": "anna", "password": PASSWORD, "next": wanted})
    assert answer["Location"] == "/admin/runs/run/?shown=failed"


def test_nobody_is_led_to_another_site(client: Client, anna: User) -> None:
    answer = client.post(LOGIN, {"username": "anna", "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/admin/"


def test_signing_in_begins_a_new_session(client: Client, anna: User) -> None:
    session = client.session
    session["basket"] = 1
    session.save()
    before = session.session_key
    client.cookies[django_settings.SESSION_COOKIE_NAME] = str(before)
    attempt(client, PASSWORD)
    after = client.session.session_key
    assert after != before and not Session.objects.filter(session_key=before).exists()


def test_a_new_password_signs_every_other_browser_out(client: Client, anna: User) -> None:
    other = Client()
    for browser in (client, other):
        attempt(browser, PASSWORD)
    page = client.get("/admin/password_change/").content.decode()
    assert "Change your password" in page and 'id="content-main"' in page
    values = {"old_password": PASSWORD, "new_password1": "another-secret-2", "new_password2": "another-secret-2"}
    assert client.post("/admin/password_change/", values).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert other.get("/admin/").status_code == 302
    assert AuditEntry.objects.get().action == "changed their own password"


def test_signing_out_takes_a_post(client: Client, anna: User) -> None:
    client.force_login(anna)
    assert client.get("/admin/logout/").status_code == 405 and client.get("/admin/").status_code == 200
    assert client.post("/admin/logout/").status_code in (200, 302)
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_after_a_working_day(client: Client, anna: User) -> None:
    attempt(client, PASSWORD)
    expires = Session.objects.get(session_key=client.session.session_key).expire_date
    assert timedelta(hours=11) < expires - timezone.now() < timedelta(hours=13)
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_after_five_wrong_passwords_one_waits_and_is_told_so_in_words(client: Client, anna: User) -> None:
    for _ in range(4):
        assert attempt(client, "wrong").status_code == 200
    answer = attempt(client, "wrong")
    said = answer.content.decode()
    assert answer.status_code == 429 and answer["Retry-After"] == "900"
    assert "Wait 15 minutes and try again" in said and "<h1>Too many wrong passwords</h1>" in said
    assert attempt(client, PASSWORD).status_code == 429, "the right one does not help now"
    assert attempt(Client(), PASSWORD, REMOTE_ADDR="10.0.0.9").status_code == 302, "from elsewhere it does"
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert attempt(client, PASSWORD).status_code == 302, "the wait is over"


def test_the_wait_is_not_prolonged_by_trying(client: Client, anna: User) -> None:
    for _ in range(5):
        attempt(client, "wrong")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))
    for _ in range(3):
        assert attempt(client, "wrong").status_code == 429
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert attempt(client, PASSWORD).status_code == 302


def test_a_name_that_nobody_has_waits_just_the_same(client: Client, anna: User) -> None:
    answers = [[attempt(client, "wrong", name).status_code for _ in range(6)] for name in ("anna", "nobody")]
    assert answers[0] == answers[1] == [200, 200, 200, 200, 429, 429]


def test_being_kept_out_is_one_entry_and_never_says_what_was_typed(client: Client, anna: User) -> None:
    for name in ("anna", "my-password-in-the-wrong-field"):
        for _ in range(8):
            attempt(client, "wrong", name)
    entries = list(AuditEntry.objects.order_by("id"))
    assert [(entry.actor_name, entry.action, entry.object_label) for entry in entries] == [
        ("Somebody", "sign in", "anna"), ("Somebody", "sign in", "a name that nobody has"),
    ]  # fmt: skip
    assert entries[0].was_refused and entries[0].reason == "5 wrong passwords from 127.0.0.1"


def test_a_flood_of_names_makes_few_entries(anna: User) -> None:
    names = [f"user{number}" for number in range(23)]
    User.objects.bulk_create([User(username=name) for name in names])
    for name in [*names, *names]:
        user_locked_out.send("axes", username=name, ip_address="10.0.0.9")
    assert AuditEntry.objects.count() == 20
    user_locked_out.send("axes", username="anna", ip_address="10.0.0.10")
    assert AuditEntry.objects.count() == 21


@pytest.mark.parametrize(
    ("proxies", "forwarded", "found"),
    [
        (0, "1.2.3.4", "10.0.0.1"),
        (1, "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (2, "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
        (1, "", "10.0.0.1"),
        (1, "nonsense", None),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_what_our_own_proxies_say_is_believed(settings: Any, proxies: int, forwarded: str, found: str) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address.of(request) == found


def test_behind_https_cookies_travel_safely(tmp_path: Path) -> None:
    names = (
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "TRUSTED_PROXIES",
    )
    script = (
        f"import json; from scheduler_site import settings as s; print(json.dumps([getattr(s, n) for n in {names}]))"
    )
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "PUBLIC_URL": "https://almanac.example.org"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == [True, True, True, 31_536_000, 1]


def test_no_page_has_an_inline_script_or_handler(client: Client, anna: User) -> None:
    client.force_login(anna)
    pages = [str(item["link"]) for group in UNFOLD["SIDEBAR"]["navigation"] for item in group["items"]]
    pages += [
        "/admin/my-settings/",
        "/admin/password_change/",
        "/admin/schedules/schedule/add/",
        "/no/such/",
        "/feedback/",
    ]
    for page in pages:
        html = client.get(page).content.decode()
        inline = [tag for tag in re.findall(r"<script\b[^>]*>", html) if "src=" not in tag and "json" not in tag]
        assert inline == [], page
        assert re.findall(r"<[^>]+\son[a-z]+\s*=", html) == [], page
        assert "javascript:" not in html, page


def test_every_answer_carries_the_headers(client: Client, anna: User) -> None:
    client.force_login(anna)
    for page in ("/admin/", "/admin/no/such/", "/feedback/", "/no/such/"):
        headers = client.get(page).headers
        policy = headers["Content-Security-Policy"]
        for part in ("object-src 'none'", "base-uri ", "form-action ", "frame-ancestors 'none'"):
            assert part in policy or "default-src 'none'" in policy, (page, part)
        assert (
            "script-src 'self' 'unsafe-eval'" in policy or "script-src" not in policy or "script-src 'none'" in policy
        )
        assert "'unsafe-inline'" not in policy.partition("style-src")[0], page
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in headers["Permissions-Policy"]


def test_errors_are_told_inside_the_frame_to_staff_and_alone_to_others(client: Client, anna: User) -> None:
    alone = client.get("/no/such/")
    assert alone.status_code == 404 and "There is nothing at this address" in alone.content.decode()
    assert "Schedules" not in alone.content.decode()
    client.force_login(anna)
    framed = client.get("/admin/no/such/").content.decode()
    assert "There is nothing at this address" in framed and "Activity log" in framed and "Go to the overview" in framed
    wrong = client.get("/admin/notices/read/")
    assert wrong.status_code == 405 and wrong["Allow"] == "POST" and "press the button there" in wrong.content.decode()
    client.force_login(User.objects.create_user("ben", is_staff=True))
    refused = client.get("/admin/runs/run/")
    assert refused.status_code == 403 and "An administrator can give you the permission" in refused.content.decode()


def test_a_form_without_our_token_says_what_to_do(anna: User) -> None:
    careful = Client(enforce_csrf_checks=True)
    answer = careful.post(LOGIN, {"username": "anna", "password": PASSWORD})
    assert answer.status_code == 403 and "load the page again, and send it once more" in answer.content.decode()
    assert not AuditEntry.objects.exists(), "who is not signed in fills no table"


def test_a_broken_request_and_a_wrong_host_are_answered_in_words(client: Client) -> None:
    answer = client.get("/feedback/", HTTP_HOST="evil.example")
    assert answer.status_code == 400 and "This could not be read" in answer.content.decode()


def test_the_page_for_errors_of_ours_needs_no_database(django_assert_num_queries: Any, anna: User) -> None:
    request = RequestFactory().get("/admin/")
    with django_assert_num_queries(0):
        answer = views.server_error(request)
    assert answer.status_code == 500 and "What you sent was not saved" in answer.content.decode()


def test_an_error_page_is_shown_alone_when_its_frame_cannot_be_built(
    client: Client, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no database")

    client.force_login(anna)
    monkeypatch.setattr(views, "page", broken)
    answer = client.get("/admin/no/such/")
    assert answer.status_code == 404 and "There is nothing at this address" in answer.content.decode()
