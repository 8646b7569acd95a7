"""Values of each kind as people write them, and what a field refuses."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from newsletters import audience, fields, subscribers
from newsletters.models import Newsletter, Segment, Subscriber, SubscriberField
from runs.models import AuditEntry

CHOICES = ["Harbour", "Old Town"]


@pytest.mark.parametrize(
    ("kind", "written", "stored"),
    [
        ("text", "  Łódź ", "Łódź"),
        ("text", "e\u0301", "é"),
        ("text", " ", None),
        ("number", "12", 12),
        ("number", "-3,5", -3.5),
        ("number", 7.0, 7),
        ("number", "", None),
        ("date", "2026-03-31", "2026-03-31"),
        ("date", "31.3.2026", "2026-03-31"),
        ("date", date(2026, 3, 31), "2026-03-31"),
        ("yes_no", "Yes", True),
        ("yes_no", "0", False),
        ("yes_no", None, None),
        ("choice", "old town", "Old Town"),
    ],
)
def test_what_people_write_is_brought_into_one_form(kind: str, written: Any, stored: Any) -> None:
    assert fields.read_value(SubscriberField(key="x", label="X", kind=kind, choices=CHOICES), written) == stored


@pytest.mark.parametrize(
    ("kind", "written", "words"),
    [
        ("text", "x" * 501, "501 characters"),
        ("number", "twelve", "is not a number"),
        ("number", "1e400", "is not a number"),
        ("number", float("nan"), "is not a number"),
        ("number", True, "is not a number"),
        ("date", "31.2.2026", "is not a date"),
        ("yes_no", "perhaps", "neither yes nor no"),
        ("choice", "Hill", "is not one of the choices of X: Harbour, Old Town"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(kind: str, written: Any, words: str) -> None:
    with pytest.raises(fields.BadValue, match=words):
        fields.read_value(SubscriberField(key="x", label="X", kind=kind, choices=CHOICES), written)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"key": "Member since"}, "key", "Begin with a small letter"),
        ({"key": "member-since"}, "key", "Begin with a small letter"),
        ({"key": "unsubscribe_url"}, "key", "a meaning of its own"),
        ({"kind": "choice", "choices": []}, "choices", "at least one choice"),
        ({"kind": "choice", "choices": [str(n) for n in range(201)]}, "choices", "at most 200"),
    ],
)
def test_a_field_that_cannot_be_is_refused(changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        fields.save_field(None, SubscriberField(**{"key": "x", "label": "X", "kind": "text", **changes}))
    assert words in refused.value.message_dict[field][0]


@pytest.mark.django_db
def test_the_short_name_stays_and_used_choices_cannot_be_taken_away() -> None:
    field = fields.save_field(None, SubscriberField(key="district", label="District", kind="choice", choices=CHOICES))
    Segment.objects.create(
        name="Water", rule={"all": [{"about": "attribute:district", "op": "in", "value": ["Harbour"]}]}
    )
    field.choices = ["Old Town"]
    with pytest.raises(ValidationError, match="“Water” asks for “Harbour”"):
        fields.save_field(None, field)
    field.choices, field.key = CHOICES, "quarter"
    with pytest.raises(ValidationError, match="The short name stays"):
        fields.save_field(None, field)


@pytest.mark.django_db
def test_a_field_that_a_letter_mentions_cannot_be_deleted() -> None:
    field = fields.save_field(None, SubscriberField(key="town", label="Town", kind="text"))
    letter = Newsletter.objects.create(name="Letter", subject="S", body="From {{ town|here }}")
    with pytest.raises(ValidationError, match="“Letter” uses it"):
        fields.delete_field(None, field)
    letter.body = "In townhouses"
    letter.save()
    fields.delete_field(None, field)
    assert not SubscriberField.objects.exists()


@pytest.mark.django_db
def test_a_new_field_is_a_merge_tag_before_anybody_has_a_value() -> None:
    fields.save_field(None, SubscriberField(key="town", label="Town", kind="text"))
    Subscriber.objects.create(email="a@example.org", attributes={"older": 1})
    assert audience.attribute_names() == ["older", "town"]


@pytest.mark.django_db
def test_staff_make_a_field_and_fill_it_in_by_its_own_input(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada"))
    data = {
        "label": "District",
        "key": "district",
        "kind": "choice",
        "choices": "Harbour\n\nHill\nHarbour",
        "position": 0,
    }
    assert client.post("/admin/newsletters/subscriberfield/add/", data).status_code == 302
    field = SubscriberField.objects.get()
    assert field.choices == ["Harbour", "Hill"]
    wrong = client.post(f"/admin/newsletters/subscriberfield/{field.pk}/change/", {**data, "choices": ""})
    assert "Write at least one choice" in wrong.content.decode()

    SubscriberField.objects.create(key="age", label="Age", kind="number")
    reader = Subscriber.objects.create(email="a@example.org", attributes={"shoe": 42, "age": "old"})
    address = f"/admin/newsletters/subscriber/{reader.pk}/change/"
    page = client.get(address).content.decode()
    assert "What is stored here does not fit the field." in page
    form = {"email": "a@example.org", "name": "Ada", "language": "", "field_district": "Hill", "field_age": "old"}
    assert client.post(address, form).status_code == 302
    reader.refresh_from_db()
    assert reader.attributes == {"shoe": 42, "age": "old", "district": "Hill"}, "what did not fit is kept until changed"
    refused = client.post(address, {**form, "field_age": "many"})
    assert "is not a number" in refused.content.decode()
    assert 'value="many"' in refused.content.decode()
    assert client.post(address, {**form, "field_age": "7", "field_district": ""}).status_code == 302
    reader.refresh_from_db()
    assert reader.attributes == {"shoe": 42, "age": 7}


@pytest.mark.django_db
def test_the_service_checks_values_whoever_calls_it() -> None:
    SubscriberField.objects.create(key="age", label="Age", kind="number")
    with pytest.raises(ValidationError, match="is not a number"):
        subscribers.save_subscriber(None, Subscriber(email="a@example.org", attributes={"age": "old"}))
    saved = subscribers.save_subscriber(None, Subscriber(email="a@example.org", attributes={"age": "12", "shoe": "42"}))
    assert saved.attributes == {"age": 12, "shoe": "42"}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.after["attributes"]) == ("added the subscriber", {"age": 12, "shoe": "42"})
