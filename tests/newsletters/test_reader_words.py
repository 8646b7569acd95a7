"""What a reader's attributes say in a letter."""

from __future__ import annotations

import pytest

from newsletters import reader_words


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("2026-03-02", "date", "2 March 2026"),
        ("2026-03-02T10:00:00+01:00", "date", "2 March 2026"),
        ("next week", "date", "next week"),
        ("2026-03-02", "", "2026-03-02"),
        (True, "", "yes"),
        (False, "yes_no", "no"),
        ("TRUE", "yes_no", "yes"),
        (0, "yes_no", "no"),
        ("perhaps", "yes_no", "perhaps"),
        (3.0, "number", "3"),
        (0.5, "number", "0.5"),
        (1e21, "number", "1000000000000000000000"),
        (20260, "number", "20260"),
        (100, "", "100"),
        (float("nan"), "number", ""),
        (None, "date", ""),
        (["2026-03-02", None, "x"], "date", "2 March 2026, , x"),
        ({"a": True, "b": 2.0}, "", "yes, 2"),
    ],
)
def test_a_value_is_said_in_plain_words(value: object, kind: str, words: str) -> None:
    assert reader_words.in_words(value, kind) == words


def test_fixed_tags_win_over_attributes_of_the_same_name() -> None:
    values = reader_words.merge_values(
        "Ada", "ada@example.org", {"name": "x", "unsubscribe_url": "https://evil", "joined": "2026-01-31"},
        {"unsubscribe_url": "https://ours"}, {"joined": "date"},
    )  # fmt: skip
    assert values == {
        "name": "Ada", "email": "ada@example.org", "unsubscribe_url": "https://ours", "joined": "31 January 2026",
    }  # fmt: skip
