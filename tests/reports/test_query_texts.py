from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from reports.periods import Window
from reports.queries import diffs, fingerprints, parameters, placeholders
from reports.queries.parameters import Kind, Parameter

WEEK = Window(date(2026, 11, 9), date(2026, 11, 16), "Europe/Berlin")


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT :a, :b_2, :a", ["a", "b_2"]), ("SELECT ':a', \":b\", `:c`", []), ("SELECT 'it''s :a' || :b", ["b"]),
        ("SELECT E'\\':a' || :b", ["b"]), ("SELECT $$ :a $$, $t$ :b $t$, :c", ["c"]), ("SELECT x::date, :y::date", ["y"]),
        ("-- :a\nSELECT :b", ["b"]), ("/* :a /* :b */ :c */ SELECT :d", ["d"]), ("SELECT a[1:2]", []),
        ("SELECT 'never ends :a", ["a"]), ("/* never ends :a", []), ("SELECT 10 % :n, '%s %(x)s {}'", ["n"]), ("", []),
    ],
)  # fmt: skip
def test_it_finds_names_where_values_belong(sql: str, names: list[str]) -> None:
    assert placeholders.names(sql) == names


def test_names_become_numbers_and_the_rest_stays() -> None:
    sql = "SELECT :b, ':b', :a::text -- :a\nWHERE x = :b"
    assert placeholders.numbered(sql, ["a", "b"]) == "SELECT $2, ':b', $1::text -- :a\nWHERE x = $2"


@pytest.mark.parametrize(
    ("sql", "without"),
    [("SELECT 1;", "SELECT 1"), ("SELECT 1 ; -- x;\n", "SELECT 1"), ("SELECT 1; SELECT 2", "SELECT 1; SELECT 2"), ("SELECT ';'", "SELECT ';'")],
)  # fmt: skip
def test_only_the_last_semicolon_goes(sql: str, without: str) -> None:
    assert placeholders.without_end(sql) == without


DECLARED = [
    Parameter("start", "Start", Kind.PERIOD_START), Parameter("end", "End", Kind.PERIOD_END),
    Parameter("day", "Day", Kind.DATE), Parameter("n", "Number", Kind.INTEGER, "3"),
    Parameter("state", "State", Kind.CHOICE, "", ("a", "b")), Parameter("text", "Text", Kind.TEXT),
]  # fmt: skip


def test_values_are_bound_by_their_kind() -> None:
    bound = parameters.bound(DECLARED, {"day": "2026-12-24", "state": "b"}, WEEK)
    assert bound == {
        "start": datetime(2026, 11, 8, 23, tzinfo=UTC), "end": datetime(2026, 11, 15, 23, tzinfo=UTC),
        "day": date(2026, 12, 24), "n": 3, "state": "b", "text": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"day": "tomorrow", "state": "a"}, "day"), ({"day": "2026-12-24", "state": "c"}, "state"), ({"day": "2026-12-24"}, "state"),
        ({"day": "2026-12-24", "state": "a", "n": "1.5"}, "n"), ({"day": "2026-12-24", "state": "a", "n": "9" * 19}, "n"),
        ({"day": "2026-12-24", "state": "a", "text": "a\0b"}, "text"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_by_its_name(values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        parameters.clean(DECLARED, values)
    assert list(raised.value.message_dict) == [field]


def test_values_that_fit_are_stored_as_json() -> None:
    kept = parameters.clean(
        DECLARED, {"day": "2026-12-24", "state": "a", "n": "", "text": "'; drop", "start": "x", "other": 1}
    )
    assert kept == {"day": "2026-12-24", "state": "a", "text": "'; drop"}


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (Parameter("2x", "X", Kind.TEXT), "name"), (Parameter("a b", "X", Kind.TEXT), "name"), (Parameter("", "X", Kind.TEXT), "name"),
        (Parameter("x", "X" * 81, Kind.TEXT), "label"), (Parameter("x", "X", Kind.CHOICE), "choices"),
        (Parameter("x", "X", Kind.DATE, "soon"), "default"), (Parameter("x", "X", Kind.CHOICE, "c", ("a",)), "default"),
    ],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_told_at_its_field(one: Parameter, field: str) -> None:
    assert list(parameters.problems([one])[0]) == [field]


def test_two_of_one_name_and_texts_that_do_not_agree_are_told() -> None:
    twice = [Parameter("x", "X", Kind.TEXT), Parameter("x", "Y", Kind.TEXT)]
    assert "another parameter" in parameters.problems(twice)[1]["name"]
    assert ":y, which is not among" in parameters.problem_with_text("SELECT :x, :y", twice[:1])
    assert "does not use :x" in parameters.problem_with_text("SELECT 1", twice[:1])
    assert parameters.problem_with_text("SELECT :x", twice[:1]) == ""


def test_parameters_survive_being_stored() -> None:
    assert parameters.read([one.to_json() for one in DECLARED]) == DECLARED
    assert set(parameters.examples(DECLARED)) == {one.name for one in DECLARED}


def test_a_fingerprint_is_of_the_text_and_of_the_parameters() -> None:
    one = fingerprints.fingerprint("SELECT :a", [DECLARED[2].to_json()])
    assert one == fingerprints.fingerprint("SELECT :a", [dict(reversed(DECLARED[2].to_json().items()))])
    assert one != fingerprints.fingerprint("SELECT :a ", [DECLARED[2].to_json()])
    assert one != fingerprints.fingerprint("SELECT :a", [DECLARED[3].to_json()])


def test_a_comparison_shows_what_is_new_and_a_little_around_it() -> None:
    before = "\n".join(f"line {n}" for n in range(20))
    lines = diffs.of_texts(before, before.replace("line 10", "line ten"))
    assert [(line.kind, line.text) for line in lines] == [
        ("skipped", "7 unchanged lines"), ("same", "line 7"), ("same", "line 8"), ("same", "line 9"), ("removed", "line 10"),
        ("added", "line ten"), ("same", "line 11"), ("same", "line 12"), ("same", "line 13"), ("skipped", "6 unchanged lines"),
    ]  # fmt: skip
    assert diffs.of_texts(before, before) == []
    (removed, added) = diffs.of_parameters([DECLARED[3].to_json()], [DECLARED[4].to_json()])
    assert (removed.text, added.text) == (":n Number (integer, default 3)", ":state State (choice, a, b)")
