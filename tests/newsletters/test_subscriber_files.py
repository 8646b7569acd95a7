"""Subscribers as a file: who is in it, that it runs nothing in a spreadsheet, and what it costs."""

from __future__ import annotations

import csv
import io

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import fields, services, subscriber_files
from newsletters.models import List, Segment, Subscriber, SubscriberField
from newsletters.subscriber_files import Wanted
from runs.models import AuditEntry
from tests.newsletters.conftest import add_readers

pytestmark = pytest.mark.django_db
HARBOUR = {"all": [{"about": "attribute:district", "op": "is", "value": "Harbour"}]}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def export(wanted: Wanted) -> list[dict[str, str]]:
    return rows("".join(subscriber_files.export_subscribers(None, wanted)))


def test_each_line_has_the_fields_the_lists_and_whether_they_may_be_written_to(city_news: List) -> None:
    SubscriberField.objects.create(key="age", label="Age", kind="number")
    SubscriberField.objects.create(key="member", label="Member", kind="yes_no")
    add_readers(city_news, 1, name="Zoë; Ångström", language="de", attributes={"age": 12.5, "member": True, "x": 1})
    add_readers(city_news, 1, prefix="left", state="unsubscribed")
    services.suppress(None, "left0@example.org")
    first, second = export(Wanted())
    assert (first["email"], first["name"], first["language"]) == ("reader0@example.org", "Zoë; Ångström", "de")
    assert (first["age"], first["member"], first["on lists"], first["suppressed"]) == ("12.5", "yes", "City news", "")
    assert (second["left lists"], second["suppressed"], second["age"]) == ("City news", "yes", "")
    entry = AuditEntry.objects.filter(action="exported subscribers").get()
    assert entry.after == {"of": "all subscribers", "lines": 2}


def test_what_is_exported_reads_back_as_the_same_values(city_news: List) -> None:
    made = [
        SubscriberField.objects.create(key=kind, label=kind, kind=kind, choices=["A", "B"] if kind == "choice" else [])
        for kind in SubscriberField.Kind.values
    ]
    stored = {"text": "Łódź, “north”", "number": -3.25, "date": "2026-03-31", "yes_no": False, "choice": "B"}
    add_readers(city_news, 1, attributes=stored)
    (row,) = export(Wanted())
    assert {field.key: fields.read_value(field, row[field.key].removeprefix("'")) for field in made} == stored


def test_a_list_or_a_segment_is_exported_alone(city_news: List) -> None:
    SubscriberField.objects.create(key="district", label="District", kind="text")
    add_readers(city_news, 2, prefix="in", attributes={"district": "Harbour"})
    add_readers(city_news, 1, prefix="pending", state="pending", attributes={"district": "Harbour"})
    add_readers(city_news, 1, prefix="out", attributes={"district": "Hill"})
    segment = Segment.objects.create(name="Harbour", rule=HARBOUR)

    def names(wanted: Wanted) -> list[str]:
        return sorted(row["email"].partition("@")[0] for row in export(wanted))

    assert names(Wanted(of_list=city_news)) == ["in0", "in1", "out0"]
    assert names(Wanted(of_segment=segment)) == ["in0", "in1", "pending0"]
    assert names(Wanted(city_news, segment)) == ["in0", "in1"]


@pytest.mark.parametrize("evil", ["=1+1@evil.com", "+1@evil.com", "@evil", "-2", "\t=1", "＝1"])
def test_nothing_in_the_file_is_a_formula(city_news: List, evil: str) -> None:
    SubscriberField.objects.create(key="town", label="Town", kind="text")
    Subscriber.objects.bulk_create(
        [Subscriber(email="=1+1@evil.com", email_norm="=1+1@evil.com", name=evil, attributes={"town": evil})]
    )
    (row,) = export(Wanted())
    assert row["email"] == "'=1+1@evil.com"
    assert row["name"] == row["town"] == f"'{evil}"


def test_it_is_read_in_pieces_that_cost_the_same(city_news: List, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriber_files, "AT_ONCE", 10)
    add_readers(city_news, 10)
    with CaptureQueriesContext(connection) as one:
        assert len(export(Wanted())) == 10
    add_readers(city_news, 30, prefix="more")
    with CaptureQueriesContext(connection) as four:
        assert len(export(Wanted())) == 40
    assert len(four) - len(one) == 3 * 3, "three queries for each piece, however long a line is"


def test_exporting_takes_a_permission_of_its_own(client: Client, city_news: List) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    seeing = ["view_subscriber", "change_subscriber", "add_importjob"]
    viewer.user_permissions.add(*Permission.objects.filter(codename__in=seeing))
    client.force_login(viewer)
    assert client.post("/admin/newsletters/subscriber/export/").status_code == 403
    assert "Export as CSV" not in client.get("/admin/newsletters/subscriber/").content.decode()
    with pytest.raises(PermissionDenied):
        subscriber_files.export_subscribers(viewer, Wanted())
    viewer.user_permissions.add(Permission.objects.get(codename="export_subscriber"))
    add_readers(city_news, 1)
    assert client.get("/admin/newsletters/subscriber/export/").status_code == 405
    assert "Export as CSV" in client.get("/admin/newsletters/subscriber/").content.decode()
    response = client.post("/admin/newsletters/subscriber/export/", {"of_list": city_news.pk})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert len(rows(b"".join(response.streaming_content).decode())) == 1  # type: ignore[attr-defined]


def test_a_segment_that_cannot_be_used_is_said_and_exports_nobody(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    segment = Segment.objects.create(name="Broken", rule=HARBOUR)
    response = client.post("/admin/newsletters/subscriber/export/", {"of_segment": segment.pk})
    assert response.status_code == 422
    assert "The segment Broken cannot be used." in response.content.decode()
    assert not AuditEntry.objects.exists()
