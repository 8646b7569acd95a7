"""Who gets an issue, counted and copied by the database."""

from __future__ import annotations

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries, Settings

from newsletters import addresses, audience, services
from newsletters.models import Delivery, Issue, List, Newsletter, Subscriber, Subscription, Suppression
from tests.newsletters.conftest import DUE, add_readers


def make_issue(letter: Newsletter) -> Issue:
    return Issue.objects.create(newsletter=letter, scheduled_for=DUE, subject="S")


@pytest.mark.django_db
def test_it_counts_each_person_once_and_the_excluded_by_reason(letter: Newsletter, city_news: List) -> None:
    sport = List.objects.create(name="Sport", slug="sport")
    letter.lists.add(sport)
    both, pending_here, gone, suppressed = (add_readers(city_news, 1, prefix=prefix)[0] for prefix in "abcd")
    Subscription.objects.create(subscriber=both, list=sport, state="confirmed")
    Subscription.objects.filter(subscriber=pending_here).update(state="pending")
    Subscription.objects.filter(subscriber=gone).update(state="unsubscribed")
    services.suppress(None, suppressed.email)
    add_readers(List.objects.create(name="Other", slug="other"), 3, prefix="other")
    counted = audience.count(audience.lists_of(letter))
    assert counted == audience.Audience(recipients=1, unconfirmed=1, unsubscribed=1, suppressed=1)
    issue = make_issue(letter)
    assert audience.snapshot(issue, with_attributes=False) == 1
    assert list(Delivery.objects.values_list("email", "state")) == [(both.email, Delivery.State.PENDING)]


@pytest.mark.django_db
def test_confirmed_on_one_list_counts_although_left_another(letter: Newsletter, city_news: List) -> None:
    sport = List.objects.create(name="Sport", slug="sport")
    letter.lists.add(sport)
    (reader,) = add_readers(city_news, 1)
    Subscription.objects.create(subscriber=reader, list=sport, state="unsubscribed")
    assert audience.count(audience.lists_of(letter)).excluded == {}


@pytest.mark.django_db
def test_it_copies_the_attributes_only_where_the_text_mentions_them(letter: Newsletter, city_news: List) -> None:
    add_readers(city_news, 2, attributes={"city": "Łódź", "tags": ["a", 1]})
    audience.snapshot(make_issue(letter), with_attributes=True)
    assert list(Delivery.objects.values_list("merge", flat=True)) == [{"city": "Łódź", "tags": ["a", 1]}] * 2
    other = Issue.objects.create(newsletter=letter, scheduled_for=DUE.replace(year=2027), subject="S")
    audience.snapshot(other, with_attributes=False)
    assert list(other.deliveries.values_list("merge", flat=True)) == [{}] * 2


@pytest.mark.django_db
@pytest.mark.parametrize("number", [10, 10_000])
def test_the_snapshot_takes_one_statement_however_many_there_are(
    letter: Newsletter, city_news: List, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    add_readers(city_news, number)
    issue = make_issue(letter)
    with transaction.atomic(), django_assert_num_queries(1):
        assert audience.snapshot(issue, with_attributes=False) == number


@pytest.mark.django_db
def test_an_address_suppressed_under_a_former_key_stays_suppressed(settings: Settings) -> None:
    old = settings.SECRET_KEY
    services.suppress(None, "Gone@Example.org")
    Suppression.objects.update(email_norm="")  # erased: only the hash is left
    settings.SECRET_KEY = "another-key-another-key-another-key-another"
    settings.SECRET_KEY_FALLBACKS = [old]
    assert audience.suppressed_among(["gone@example.org", "here@example.org"]) == {"gone@example.org"}


@pytest.mark.parametrize(
    ("written", "norm"),
    [
        (" Anna@Example.ORG ", "anna@example.org"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("o'neil+news@example.org", "o'neil+news@example.org"),
    ],
)
def test_addresses_have_one_spelling(written: str, norm: str) -> None:
    assert addresses.normalise(written) == norm


@pytest.mark.parametrize(
    "written",
    ["", "anna", "anna@", "@example.org", "a b@example.org", "anna@example", "a@b@example.org", "a\r\nb@example.org",
     "anna@-example.org", ".anna@example.org", "a..b@example.org", "x" * 65 + "@example.org", "anna@[127.0.0.1]"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_words(written: str) -> None:
    with pytest.raises(addresses.BadAddress, match="is not an e-mail address"):
        addresses.normalise(written)


@pytest.mark.django_db
def test_attribute_names_come_from_the_readers(city_news: List) -> None:
    add_readers(city_news, 1, attributes={"city": "Porto", "age": 3})
    assert audience.attribute_names() == ["age", "city"]
    assert Subscriber.objects.count() == 1
