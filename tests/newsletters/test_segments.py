"""What a rule may say, what it says in words, and that a wrong one never means everybody."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError

from newsletters import audience, fields, impact, preparing, segment_counts, segments, services
from newsletters.models import (
    Delivery,
    Issue,
    List,
    Newsletter,
    Segment,
    Subscriber,
    SubscriberField,
    Suppression,
)
from runs.models import AuditEntry
from tests.newsletters.conftest import DUE, add_readers

pytestmark = pytest.mark.django_db
HARBOUR = {"about": "attribute:district", "op": "is", "value": "Harbour"}


@pytest.fixture(autouse=True)
def district(db: None) -> SubscriberField:
    return SubscriberField.objects.create(key="district", label="District", kind="text")


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({}, (), "Add at least one rule."),
        ({"all": []}, (), "Add at least one rule to this group."),
        (HARBOUR, (), "Add at least one rule."),
        ({"all": ["x"]}, (0,), "This is no rule."),
        ({"all": [{"sql": "1=1"}]}, (0,), "Choose what this rule is about."),
        ({"all": [{**HARBOUR, "about": "attribute:nothing"}]}, (0,), "no longer exists"),
        ({"all": [{**HARBOUR, "about": "password"}]}, (0,), "no longer exists"),
        ({"all": [{**HARBOUR, "op": "regex"}]}, (0,), "Choose what to ask."),
        ({"all": [{**HARBOUR, "value": " "}]}, (0,), "Write what to look for."),
        ({"all": [{**HARBOUR, "value": "a\x00"}]}, (0,), "character that no text can have"),
        ({"all": [{**HARBOUR, "value": ["a"]}]}, (0,), "Write what to look for."),
        ({"all": [{**HARBOUR, "extra": 1}]}, (0,), "should not"),
        ({"all": [HARBOUR, {"any": []}]}, (1,), "Add at least one rule to this group."),
        ({"all": [{"about": "list", "op": "on", "which": 99}]}, (0,), "The list of this rule no longer exists."),
        ({"all": [{"about": "list", "op": "on"}]}, (0,), "Choose the list."),
        ({"all": [{"about": "subscribed", "op": "last", "value": 0}]}, (0,), "number of days"),
        ({"all": [{"about": "subscribed", "op": "before", "value": "2026-02-31"}]}, (0,), "Choose a day."),
        ({"all": [{"about": "domain", "op": "is", "value": "a b"}]}, (0,), "Write a domain"),
        ({"all": [{"about": "language", "op": "is", "value": "German"}]}, (0,), "language's code"),
        ({"all": [{"any": [{"all": [{"any": [{"all": [HARBOUR]}]}]}]}]}, (0, 0, 0, 0), "4 levels deep"),
        ({"all": [HARBOUR] * 51}, (), "51 rules"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_refused_where_it_stands(rule: Any, path: tuple[int, ...], words: str) -> None:
    assert words in segments.check(rule)[path]
    with pytest.raises(segments.BadRule):
        segments.condition(rule)


def test_a_rule_is_said_in_plain_english() -> None:
    town = List.objects.create(name="City news", slug="city")
    rule = {
        "all": [
            HARBOUR,
            {
                "any": [
                    {"about": "list", "op": "on", "which": town.pk},
                    {"about": "subscribed", "op": "last", "value": 30},
                ]
            },
            {"none": [{"about": "bounced", "op": "ever"}]},
        ]
    }
    assert segments.describe(rule) == (
        "Subscribers whose District is “Harbour” and (who are on “City news” or who were added in the last 30 days) "
        "and other than those (whose mail has bounced)."
    )
    assert segments.describe({"none": [HARBOUR]}) == "Everybody except those whose District is “Harbour”."


def test_four_levels_and_fifty_rules_are_allowed() -> None:
    assert segments.check({"all": [{"any": [{"all": [{"any": [HARBOUR]}]}]}]}) == {}
    assert segments.check({"all": [HARBOUR] * 50}) == {}


@pytest.fixture
def harbour(letter: Newsletter, city_news: List) -> Segment:
    segment = segments.save_segment(None, Segment(name="Harbour people", rule={"all": [HARBOUR]}))
    letter.segment = segment
    letter.save()
    add_readers(city_news, 3, prefix="in", attributes={"district": "Harbour"})
    add_readers(city_news, 4, prefix="out", attributes={"district": "Hill"})
    return segment


def test_an_issue_goes_to_the_segment_only_and_says_how_many_it_left_out(letter: Newsletter, harbour: Segment) -> None:
    services.suppress(None, "in0@example.org")
    counted = audience.count(audience.Reach.of(letter))
    assert counted == audience.Audience(recipients=2, unconfirmed=0, unsubscribed=0, suppressed=1, not_in_segment=4)
    assert (
        impact.describe_impact(letter)
        == "Sends to 2 subscribers of City news, only those in the segment Harbour people"
    )
    issue = preparing.issue_for(letter, DUE)
    assert sorted(Delivery.objects.values_list("email", flat=True)) == ["in1@example.org", "in2@example.org"]
    assert issue.excluded == {"suppressed": 1, "not in the segment": 4}


def test_a_segment_that_broke_sends_nothing_and_says_why(letter: Newsletter, harbour: Segment) -> None:
    SubscriberField.objects.all().delete()
    assert "Nobody to send to: the segment Harbour people cannot be used." in impact.describe_impact(letter)
    with pytest.raises(preparing.CannotPrepare, match="This field no longer exists"):
        preparing.issue_for(letter, DUE)
    assert not Issue.objects.exists()
    assert not Delivery.objects.exists()


def test_a_segment_that_nobody_is_in_sends_nothing_and_says_why(letter: Newsletter, harbour: Segment) -> None:
    Subscriber.objects.update(attributes={})
    with pytest.raises(preparing.CannotPrepare, match="none of the 7 readers who could get it is in the segment"):
        preparing.issue_for(letter, DUE)
    assert not Issue.objects.exists()


def test_the_field_the_list_and_the_segment_in_use_cannot_be_deleted(
    letter: Newsletter, harbour: Segment, district: SubscriberField
) -> None:
    with pytest.raises(ValidationError, match="“Weekly letter” would go to everybody without it"):
        segments.delete_segment(None, harbour)
    with pytest.raises(ValidationError, match="“Harbour people” uses it"):
        fields.delete_field(None, district)
    district.kind = "number"
    with pytest.raises(ValidationError, match="Change the rules there first"):
        fields.save_field(None, district)
    spare = List.objects.create(name="Spare", slug="spare")
    rule = {"any": [{"about": "list", "op": "not_on", "which": spare.pk}]}
    segments.save_segment(None, Segment(name="Others", rule=rule))
    with pytest.raises(ValidationError, match="“Others” asks for it"):
        services.delete_list(None, spare)
    letter.segment = None
    letter.save()
    segments.delete_segment(None, harbour)
    fields.delete_field(None, SubscriberField.objects.get())
    assert list(AuditEntry.objects.values_list("action", flat=True)[:2]) == [
        "deleted the subscriber field", "deleted the segment",
    ]  # fmt: skip


def test_only_those_who_may_save_a_segment() -> None:
    viewer = User.objects.create_user("viewer")
    with pytest.raises(PermissionDenied):
        segments.save_segment(viewer, Segment(name="Mine", rule={"all": [HARBOUR]}))
    with pytest.raises(ValidationError, match="Write what to look for"):
        segments.save_segment(None, Segment(name="Wrong", rule={"all": [{**HARBOUR, "value": ""}]}))
    assert not Segment.objects.exists()


def test_a_count_is_kept_with_its_time_until_the_rule_changes(harbour: Segment) -> None:
    segment_counts.refresh(harbour)
    harbour.refresh_from_db()
    assert harbour.count == 3
    assert harbour.counted_at is not None
    harbour.rule = {"all": [{**HARBOUR, "value": "Hill"}]}
    segments.save_segment(None, harbour)
    harbour.refresh_from_db()
    assert Segment.objects.values_list("count", "counted_at").get() == (None, None)


def test_a_count_that_takes_too_long_becomes_about(city_news: List) -> None:
    add_readers(city_news, 3000, attributes={"district": "Harbour"})
    add_readers(city_news, 1000, prefix="hill", attributes={"district": "Hill"})
    began = time.monotonic()
    counted = segment_counts._estimate(segments.condition({"all": [HARBOUR]}), seconds=30)
    assert counted.is_about
    assert counted.number == 3000, "all of them were looked through here"
    assert segment_counts.in_words(counted) == "about 3,000 subscribers"
    assert len(counted.readers) == 10
    words = [f"{'x' * 150}{number}" for number in range(50)]
    slow = {"any": [{"about": "attribute:district", "op": "contains", "value": word} for word in words]}
    counted = segment_counts.count(slow, seconds=0.005)
    assert counted.is_about
    assert time.monotonic() - began < 30
    assert Suppression.objects.count() == 0, "the connection is as good as before"
