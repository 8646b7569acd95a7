from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from reports import report_mail, storage
from reports.models import Artefact, ReportDefinition, ReportDelivery, ReportRun, ShareLink
from tests.newsletters.smtp_server import Received
from tests.reports.mail_house import House, goes_to, states

Define = Callable[..., ReportDefinition]
Reader = Callable[[str], User]


@pytest.fixture
def small(define: Define) -> ReportDefinition:
    definition = define()
    ReportDefinition.objects.update(attach_up_to_mb=1)
    goes_to(definition, "kim@partner.example")
    return definition


def attachments(mail: Received) -> dict[str, bytes]:
    return {str(part.get_filename()): part.get_payload(decode=True) for part in mail.mail.iter_attachments()}  # type: ignore[misc]


def rewrite(size: int) -> Artefact:
    """Gives the report's file exactly so many bytes, as if it had been made like that."""
    artefact = Artefact.objects.get()
    data = (b"a\r\nb\nc\rd\x00" * (size // 8 + 1))[:size]
    storage.path_of(artefact.key).write_bytes(data)
    Artefact.objects.update(byte_count=size, sha256=hashlib.sha256(data).hexdigest())
    return Artefact.objects.get()


def test_a_small_file_is_attached_byte_for_byte_and_needs_no_link(house: House, small: ReportDefinition) -> None:
    house.send(small)
    (mail,) = house.server.received
    artefact = Artefact.objects.get()
    ((name, data),) = attachments(mail).items()
    assert name == artefact.file_name and hashlib.sha256(data).hexdigest() == artefact.sha256
    assert "The file is attached" in mail.body("plain") and "/reports/get/" not in mail.raw.decode()
    assert not ShareLink.objects.exists()


@pytest.mark.parametrize(("extra", "is_attached"), [(0, True), (1, False)])
def test_files_are_attached_up_to_the_last_byte_that_is_allowed(
    house: House, small: ReportDefinition, extra: int, is_attached: bool
) -> None:
    house.make(small)
    artefact = rewrite(report_mail.MEGABYTE + extra)
    house.work()
    (mail,) = house.server.received
    assert [hashlib.sha256(data).hexdigest() for data in attachments(mail).values()] == [artefact.sha256] * is_attached
    assert ("/reports/get/" in mail.body("plain")) is not is_attached
    assert ShareLink.objects.count() == (0 if is_attached else 1)


def test_it_is_the_size_of_all_files_together_that_counts(house: House, small: ReportDefinition) -> None:
    house.make(small)
    first = rewrite(report_mail.MEGABYTE)
    Artefact.objects.create(
        report_run=first.report_run, format="jsonl", file_name="x.jsonl", byte_count=1, row_count=1, sha256="x",
        expires_at=first.expires_at,
    )  # fmt: skip
    assert not report_mail.is_attached(ReportRun.objects.get(), list(Artefact.objects.all()))


def test_no_mail_is_larger_than_mail_servers_take(define: Define) -> None:
    definition = define()
    definition.attach_up_to_mb = 1000
    made = ReportRun(definition=definition)
    assert report_mail.is_attached(made, [Artefact(byte_count=25 * report_mail.MEGABYTE)])
    assert not report_mail.is_attached(made, [Artefact(byte_count=25 * report_mail.MEGABYTE + 1)])


def test_a_damaged_file_is_attached_to_nothing(house: House, small: ReportDefinition) -> None:
    house.make(small)
    storage.path_of(Artefact.objects.get().key).write_bytes(b"half")
    house.work()
    assert states() == {"kim@partner.example": "failed"} and not house.to("kim@partner.example")
    assert "missing or was damaged" in ReportDelivery.objects.get().why


def test_a_name_in_any_script_survives(house: House, small: ReportDefinition) -> None:
    house.make(small)
    Artefact.objects.update(file_name="zahlen-für-山田.csv")
    house.work()
    assert list(attachments(house.server.received[0])) == ["zahlen-für-山田.csv"]


def test_totals_and_what_they_were_before_are_in_both_parts(house: House, small: ReportDefinition) -> None:
    house.make(small)
    ReportRun.objects.update(
        summary={"rows": 120, "rows_before": 100, "totals": [{"label": "Sent <all>", "value": 1200, "before": 1200}]}
    )
    house.work()
    (mail,) = house.server.received
    plain, html = mail.body("plain"), mail.body("html")
    assert "Rows: 120 (20 % more than" in plain and "Sent <all>: 1,200 (the same as" in plain
    assert "20 % more than" in html and "Sent &lt;all&gt;" in html


@pytest.mark.parametrize("summary", [{}, {"rows": None}, {"rows": 0, "totals": [{"label": "X", "value": None}]}])
def test_a_report_without_numbers_is_mailed_all_the_same(
    house: House, small: ReportDefinition, summary: dict[str, Any]
) -> None:
    house.make(small)
    ReportRun.objects.update(summary=summary)
    house.work()
    assert states() == {"kim@partner.example": "sent"}


def test_a_name_is_never_read_as_markup(house: House, define: Define) -> None:
    definition = define(name="<b>A & B</b> {{ x }}")
    goes_to(definition, "kim@partner.example")
    house.send(definition)
    (mail,) = house.server.received
    assert mail.mail["Subject"].startswith("<b>A & B</b> {{ x }}, ")
    assert "<b>A" not in mail.body("html") and "&lt;b&gt;A &amp; B&lt;/b&gt; {{ x }}" in mail.body("html")
    assert "<b>A & B</b> {{ x }}" in mail.body("plain")


def test_a_mail_outside_can_be_ended_by_one_click_of_a_mail_program(house: House, small: ReportDefinition) -> None:
    house.send(small)
    (mail,) = house.server.received
    (line,) = mail.header_lines("List-Unsubscribe")
    assert line.startswith(b"List-Unsubscribe: <https://news.example.org/reports/leave/") and line.endswith(b"/>")
    assert mail.header_lines("List-Unsubscribe-Post") == [b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    assert "I want no more of them" in mail.body("html")
