"""Many values as one parameter find what many placeholders would."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from runs.id_lists import rows_of

pytestmark = pytest.mark.django_db


def test_numbers_texts_and_nothing_are_found_on_both_databases() -> None:
    people = [User.objects.create(username=name) for name in ("anna", "ben", 'o\'brien, "x" {}')]
    numbers = [person.pk for person in people[:2]]
    assert set(User.objects.filter(pk__in=rows_of(numbers))) == set(people[:2])
    assert set(User.objects.exclude(pk__in=rows_of(numbers))) == {people[2]}
    assert list(User.objects.filter(username__in=rows_of([people[2].username, "nobody"]))) == [people[2]]
    assert User.objects.filter(pk__in=rows_of(numbers)).update(last_name="N") == 2


def test_nothing_finds_nothing() -> None:
    User.objects.create(username="anna")
    assert not User.objects.filter(username__in=rows_of([])).exists()
    assert not User.objects.filter(pk__in=rows_of([])).exists()
    assert User.objects.exclude(pk__in=rows_of([])).count() == 1
