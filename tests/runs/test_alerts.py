"""Problems become one row each, and people are told once, in one message, of what begins, lasts and ends."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client

from runs import alerts, clock
from runs.models import Alert, Notice
from tests.integration.stack import ROOT, free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_is_told_yet(settings: Any) -> None:
    settings.ALERT_MAIL = []
    settings.ALERT_URLS = []


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass on the database's clock."""
    moment = [datetime(2026, 11, 21, 9, 0, tzinfo=UTC)]
    monkeypatch.setattr(clock, "now", lambda: moment[0])

    def by(span: timedelta) -> None:
        moment[0] += span

    return by


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A web server that keeps what Apprise posts to it, and its Apprise address."""
    posts: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_address[1]}/", posts
    server.shutdown()
    server.server_close()


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", "boss@example.org")


@pytest.fixture
def anna() -> User:
    return User.objects.create_user("anna", "anna@example.org")


def test_a_problem_is_one_row_however_often_it_is_seen() -> None:
    first = alerts.raise_alert("disk", "The disk is full", detail="90 %")
    again = alerts.raise_alert("disk", "The disk is full", detail="95 %", level=Alert.Level.WARNING)
    assert again.pk == first.pk and (again.seen_count, again.detail, again.level) == (2, "95 %", "warning")
    assert again.last_seen_at >= first.last_seen_at


def test_after_its_end_the_same_problem_is_a_new_row() -> None:
    alerts.raise_alert("disk", "The disk is full")
    assert alerts.resolve("disk") is True
    assert alerts.resolve("disk") is False
    alerts.raise_alert("disk", "The disk is full")
    assert [alert.is_open for alert in Alert.objects.order_by("id")] == [False, True]


def test_what_a_check_no_longer_sees_is_over() -> None:
    for key in ("dog:a", "dog:b", "cat:a"):
        alerts.raise_alert(key, key)
    assert alerts.resolve_all_but("dog:", ["dog:b"]) == 1
    assert set(Alert.objects.filter(resolved_at=None).values_list("key", flat=True)) == {"dog:b", "cat:a"}


def test_long_words_are_cut() -> None:
    alert = alerts.raise_alert("k" * 200, "t" * 300, detail="d" * 900)
    alert.refresh_from_db()
    assert (len(alert.key), len(alert.title), len(alert.detail)) == (120, 200, 500)
    assert alerts.resolve("k" * 200)


def test_many_problems_are_one_mail(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org", "desk@example.org"]
    for number in range(3):
        alerts.raise_alert(f"p{number}", f"Problem {number}", detail="very", url=f"/admin/p/{number}/")
    assert alerts.deliver() == 3
    assert len(mail.outbox) == 1
    message = mail.outbox[0]
    assert message.subject == "Almanac: 3 problems" and message.to == ["ops@example.org", "desk@example.org"]
    assert f"- Problem 1: very {settings.PUBLIC_URL}/admin/p/1/" in str(message.body)
    assert alerts.deliver() == 0 and len(mail.outbox) == 1
    assert set(Alert.objects.values_list("told_count", flat=True)) == {1}


def test_a_line_break_in_a_name_cannot_forge_a_header(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("p", "Weekly\r\nBcc: all@example.org")
    assert alerts.deliver() == 1
    assert mail.outbox[0].subject == "Almanac: problem: Weekly Bcc: all@example.org"


def test_a_recovery_is_told_once_to_those_who_know_of_the_problem(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("beat", "No beat is running")
    alerts.deliver()
    alerts.resolve("beat")
    assert alerts.deliver() == 1
    assert mail.outbox[1].subject == "Almanac: recovered: No beat is running"
    assert alerts.deliver() == 0 and len(mail.outbox) == 2


def test_problems_and_recoveries_share_a_message(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("a", "A is wrong")
    alerts.deliver()
    alerts.resolve("a")
    alerts.raise_alert("b", "B is wrong")
    alerts.deliver()
    assert mail.outbox[1].subject == "Almanac: problem: B is wrong, recovered: A is wrong"


def test_what_came_and_went_unseen_is_never_told(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("blip", "A blip")
    alerts.resolve("blip")
    assert alerts.deliver() == 0 and not mail.outbox


def test_what_comes_and_goes_is_not_told_each_time(settings: Any, wait: Callable[[timedelta], None]) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    for _ in range(4):
        alerts.raise_alert("flap", "It flaps")
        alerts.deliver()
        wait(timedelta(seconds=5))
        alerts.resolve("flap")
        alerts.deliver()
        wait(timedelta(seconds=5))
    assert len(mail.outbox) == 2  # it began, it ended
    alerts.raise_alert("flap", "It flaps")
    wait(timedelta(seconds=61))
    assert alerts.deliver() == 1


def test_what_lasts_is_told_again_after_a_day(settings: Any, wait: Callable[[timedelta], None]) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("disk", "The disk is full")
    alerts.deliver()
    wait(timedelta(hours=23, minutes=59))
    assert alerts.deliver() == 0
    wait(timedelta(minutes=2))
    assert alerts.deliver() == 1 and alerts.deliver() == 0
    assert Alert.objects.get().told_count == 2


def test_an_owner_gets_only_the_own_ones(settings: Any, anna: User) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("mine", "“Weekly” is broken", owner_id=anna.pk)
    alerts.raise_alert("other", "No worker is running")
    alerts.deliver()
    assert {message.to[0]: message.subject for message in mail.outbox} == {
        "ops@example.org": "Almanac: 2 problems",
        "anna@example.org": "Almanac: problem: “Weekly” is broken",
    }


def test_an_owner_among_the_operators_is_told_once(settings: Any, anna: User) -> None:
    settings.ALERT_MAIL = ["Anna@example.org"]
    alerts.raise_alert("mine", "“Weekly” is broken", owner_id=anna.pk)
    alerts.deliver()
    assert len(mail.outbox) == 1


def test_owner_and_superusers_find_one_notice_each(boss: User, anna: User) -> None:
    User.objects.create_superuser("gone", is_active=False)
    User.objects.create_user("bystander")
    alerts.raise_alert("mine", "“Weekly” is broken", owner_id=anna.pk, url="/admin/w/")
    alerts.raise_alert("other", "No worker is running")
    alerts.deliver()
    assert dict(Notice.objects.values_list("user__username", "text")) == {
        "boss": "2 problems: “Weekly” is broken; No worker is running",
        "anna": "Problem: “Weekly” is broken",
    }
    assert Notice.objects.get(user=anna).url == "/admin/w/"
    assert set(Notice.objects.values_list("level", flat=True)) == {"error"}


def test_an_apprise_address_gets_the_message(settings: Any, receiver: tuple[str, list[dict[str, Any]]]) -> None:
    address, posts = receiver
    settings.ALERT_URLS = [address]
    alerts.raise_alert("disk", "The disk is full", detail="95 %")
    assert alerts.deliver() == 1
    alerts.resolve("disk")
    assert alerts.deliver() == 1
    assert [(post["title"], post["type"]) for post in posts] == [
        ("Almanac: problem: The disk is full", "failure"),
        ("Almanac: recovered: The disk is full", "success"),
    ]
    assert "- The disk is full: 95 %" in posts[0]["message"]


def test_a_channel_that_fails_stops_no_other(
    settings: Any, receiver: tuple[str, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    address, posts = receiver
    secret = f"json://user:hunter2@127.0.0.1:{free_port()}/"
    settings.ALERT_URLS = [secret, address]
    settings.ALERT_MAIL = ["ops@example.org"]
    settings.EMAIL_BACKEND = "no.such.Backend"
    alerts.raise_alert("disk", "The disk is full")
    with caplog.at_level(logging.WARNING, "runs.alerts"):
        assert alerts.deliver() == 1
    assert len(posts) == 1
    ours = [record.getMessage() for record in caplog.records if record.name == "runs.alerts"]
    assert len(ours) == 2 and "mail" in ours[0] and "number 1" in ours[1]
    assert "hunter2" not in caplog.text


def test_when_nobody_outside_was_reached_it_is_tried_again_a_minute_later(
    settings: Any, boss: User, wait: Callable[[timedelta], None]
) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "no.such.Backend"
    alerts.raise_alert("disk", "The disk is full")
    assert alerts.deliver() == 0
    settings.EMAIL_BACKEND = working
    wait(timedelta(seconds=45))
    assert alerts.deliver() == 0 and not mail.outbox
    wait(timedelta(seconds=16))
    assert alerts.deliver() == 1 and len(mail.outbox) == 1
    assert Alert.objects.get().told_count == 1 and Notice.objects.count() == 1
    # The same for the word about its end.
    alerts.resolve("disk")
    settings.EMAIL_BACKEND = "no.such.Backend"
    assert alerts.deliver() == 0
    settings.EMAIL_BACKEND = working
    assert alerts.deliver() == 0
    wait(timedelta(seconds=61))
    assert alerts.deliver() == 1 and alerts.deliver() == 0
    assert len(mail.outbox) == 2


def test_what_failed_to_be_told_and_ended_is_never_told(settings: Any, wait: Callable[[timedelta], None]) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "no.such.Backend"
    alerts.raise_alert("disk", "The disk is full")
    alerts.deliver()
    settings.EMAIL_BACKEND = working
    alerts.resolve("disk")
    wait(timedelta(minutes=2))
    assert alerts.deliver() == 0 and not mail.outbox


def test_what_another_process_is_telling_is_left_to_it(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("disk", "The disk is full")
    both_read = alerts._due(clock.now())
    assert alerts.deliver() == 1
    monkeypatch.setattr(alerts, "_due", lambda now: both_read)
    assert alerts.deliver() == 0 and len(mail.outbox) == 1


def test_a_process_that_dies_while_telling_only_delays(
    settings: Any, wait: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    alerts.raise_alert("disk", "The disk is full")

    def die(channel: object) -> bool:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(alerts, "_attempt", die)
        with pytest.raises(SystemExit):
            alerts.deliver()
    assert alerts.deliver() == 0
    wait(alerts.HOLD + timedelta(seconds=1))
    assert alerts.deliver() == 1


@pytest.mark.django_db(transaction=True)
def test_processes_that_race_make_one_row_and_one_message(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    together = threading.Barrier(4)

    def race() -> None:
        try:
            together.wait(10)
            alerts.raise_alert("disk", "The disk is full")
            together.wait(10)
            alerts.deliver()
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alert = Alert.objects.get()
    assert (alert.seen_count, alert.told_count, len(mail.outbox)) == (4, 1, 1)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ALERT_URLS", "json://127.0.0.1/ nonsense-with-hunter2", "number 2"),
        ("ALERT_MAIL", "ops@example.org, nonsense", "'nonsense'"),
        ("WATCHDOG_PING_URL", "file:///etc/passwd", "no web address"),
    ],
)
def test_a_wrong_address_is_said_at_the_start(name: str, value: str, says: str, tmp_path: Path) -> None:
    environment = {**os.environ, name: value, "DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "scheduler_site.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.startswith(f"Almanac cannot start: {name}") and says in done.stderr
    assert "hunter2" not in done.stderr


def test_addresses_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("json://127.0.0.1/one\njson://127.0.0.1/two\n")
    environment = {**os.environ, "ALERT_URLS_FILE": str(tmp_path / "urls"), "DATA_DIR": str(tmp_path)}
    environment |= {"DJANGO_SETTINGS_MODULE": "scheduler_site.settings"}
    show = "from django.conf import settings; print(settings.ALERT_URLS)"
    done = subprocess.run([sys.executable, "-c", show], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "['json://127.0.0.1/one', 'json://127.0.0.1/two']"


def test_the_list_shows_them_and_changes_nothing(client: Client, boss: User) -> None:
    client.force_login(boss)
    alerts.raise_alert("a", "The disk is full", detail="95 %", url="/admin/somewhere/")
    alerts.raise_alert("b", "It was nothing", level=Alert.Level.WARNING)
    alerts.resolve("b")
    page = client.get("/admin/runs/alert/").content.decode()
    assert "The disk is full" in page and 'href="/admin/somewhere/"' in page and "It was nothing" in page
    open_ones = client.get("/admin/runs/alert/?shown=open").content.decode()
    assert "The disk is full" in open_ones and "It was nothing" not in open_ones
    assert client.get("/admin/runs/alert/add/").status_code == 403
