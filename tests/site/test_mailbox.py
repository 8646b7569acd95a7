"""The Local mailbox shows what the embedded mail server took, and nothing runs in it."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.contrib.auth.models import User
from django.test import Client

from scheduler_site.mailbox_server import Keeper
from tests.integration.stack import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any, tmp_path: Path) -> Iterator[smtplib.SMTP]:
    settings.LOCAL_MAILBOX_DIR = tmp_path / "mailbox"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    controller = Controller(Keeper(settings.LOCAL_MAILBOX_DIR), hostname="127.0.0.1", port=settings.EMAIL_PORT)
    controller.start()
    with smtplib.SMTP("127.0.0.1", settings.EMAIL_PORT) as connection:
        yield connection
    controller.stop()


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def mail(subject: str, html: str = "<p>Hello</p>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "city@example.org", "Zoë <zoe@example.org>", subject
    message.set_content("Hello in text")
    message.add_alternative(html, subtype="html")
    return message


def test_newest_first_in_pages(server: smtplib.SMTP, boss: Client) -> None:
    for number in range(120):
        server.send_message(mail(f"Mail number {number:03d}"))
    first = boss.get("/admin/mailbox/").content.decode()
    last = boss.get("/admin/mailbox/?page=3").content.decode()
    assert "120 mails" in first and first.index("number 119") < first.index("number 118")
    assert "number 069" not in first and "number 019" in last and "Older" not in last
    assert boss.get("/admin/mailbox/?page=nonsense").status_code == 200


def test_one_mail_shows_headers_text_and_a_frame_without_scripts(
    server: smtplib.SMTP, boss: Client, settings: Any
) -> None:
    server.send_message(mail("Grüße", '<p>Hi</p><script>alert(1)</script>"></iframe><script>alert(2)</script>'))
    key = next((settings.LOCAL_MAILBOX_DIR / "new").iterdir()).name
    page = boss.get(f"/admin/mailbox/{key}/").content.decode()
    assert "Grüße" in page and "Hello in text" in page and "zoe@example.org" in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "<script>alert" not in page and "&lt;script&gt;alert(2)" in page


def test_the_source_is_what_came_over_the_wire(server: smtplib.SMTP, boss: Client, settings: Any) -> None:
    message = mail("Source")
    wire = message.as_bytes(policy=SMTP)
    server.sendmail("city@example.org", ["zoe@example.org"], wire)
    key = next((settings.LOCAL_MAILBOX_DIR / "new").iterdir()).name
    answer = boss.get(f"/admin/mailbox/{key}/source/")
    envelope, _, rest = answer.content.partition(b"X-Envelope-To: zoe@example.org\r\n")
    assert envelope == b"X-Envelope-From: city@example.org\r\n"
    assert rest == wire
    assert answer["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("key", ["..%2f..%2fsecret_key", ".hidden", "missing", "%00", "a b"])
def test_only_mails_are_opened(server: smtplib.SMTP, boss: Client, key: str) -> None:
    assert boss.get(f"/admin/mailbox/{key}/").status_code == 404
    assert boss.get(f"/admin/mailbox/{key}/source/").status_code == 404


def test_it_needs_a_permission(server: smtplib.SMTP) -> None:
    client = Client()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get("/admin/mailbox/").status_code == 403
