"""What was chosen, as JSON and as form inputs: whatever is stored or sent is read, and what does not fit is said."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import given, settings
from hypothesis import strategies as st

from reports import filters, selectable, selection_checks, selection_forms, selection_panel
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Kind, Total
from reports.running_totals import RunningTotal
from reports.selection import Filter, Group, Selection, TotalOf

SALES = DataSet(
    key="test_sales",
    label="Sales",
    columns=(
        Column("day", "Day", Kind.DATE, is_group=True, totals=(Total.MOST,)),
        Column("shop", "Shop", is_group=True),
        Column("sold", "Sold", Kind.INTEGER, totals=(Total.SUM, Total.AVERAGE)),
        Column("paid", "Paid", Kind.DECIMAL, is_filter=False),
        Column("state", "State", choices=(("open", "Open"), ("done", "Done"))),
        Column("gift", "Gift", Kind.YES_NO),
    ),
    queryset=lambda window: None,  # type: ignore[arg-type,return-value]
)
MADE = DataSet(key="test_made", label="Made", columns=SALES.columns, rows=lambda window: iter(()))
names = st.sampled_from(["day", "shop", "sold", "paid", "state", "gift", "gone", ""])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | names, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
nearly_right = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.lists(names, max_size=6) | anything,
        "filters": st.lists(
            st.fixed_dictionaries({"column": names, "is": st.sampled_from(["is", "between", "one_of", "empty", "x"])}, optional={"values": st.lists(st.text(max_size=6), max_size=3)}), max_size=4
        ) | anything,
        "groups": st.lists(st.fixed_dictionaries({"column": names, "by": st.sampled_from(["", "day", "week", "month", "year"])}), max_size=5),
        "totals": st.lists(st.fixed_dictionaries({"column": names, "how": st.sampled_from(["sum", "average", "most", "rows", "x"])}), max_size=4),
        "order": st.lists(names | st.just("-sold") | st.just("rows"), max_size=4) | anything,
        "called": anything,
    },
)  # fmt: skip


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registry, SALES.key, SALES)


def check(**chosen: Any) -> dict[str, str]:
    return selection_checks.check(Selection(**chosen), SALES)


@settings(max_examples=300, deadline=None)
@given(stored=anything | nearly_right)
def test_whatever_is_stored_is_read_checked_and_written_without_a_crash(stored: Any) -> None:
    chosen = Selection.read(stored)
    problems = selection_checks.check(chosen, SALES)
    assert all(problems.values())
    again = Selection.read(chosen.to_json())
    assert again.to_json() == chosen.to_json()
    if not problems:
        selectable.columns_of(chosen, SALES)
        assert {name for name, _ in selectable.orders(chosen, SALES)} >= set(chosen.order)
    elif chosen.is_damaged:
        assert "cannot be read" in problems[""]
    typed = selection_forms._settled(selection_forms.Typed("test_sales", chosen))
    assert selection_panel.context(typed, problems)["data_set"] is SALES


@settings(max_examples=200, deadline=None)
@given(
    sent=st.lists(
        st.tuples(
            st.sampled_from(["s.of", "s.known", "s.column", "s.filter.0.column", "s.filter.0.op", "s.filter.0.value", "s.filter.7.column", "s.group.0", "s.group.1", "s.total", "s.order.0", "p.x"]),
            names | st.text(max_size=8) | st.sampled_from(["test_sales", "day:week", "sold:sum", "-sold", ":", "between"]),
        ),
        max_size=12,
    ),
    do=st.sampled_from(["add-filter", "remove-filter:0", "remove-filter:99", "up:sold", "down:gone", "up:", "x", ""]),
)  # fmt: skip
def test_whatever_a_form_sends_is_shown_again(sent: list[tuple[str, str]], do: str) -> None:
    data = QueryDict(mutable=True)
    for name, value in sent:
        data.appendlist(name, value)
    typed = selection_forms.change(selection_forms.read(data, "test_sales"), do)
    stored = selection_forms.of_selection(typed)
    problems = selection_checks.check(stored, SALES)
    assert selection_panel.context(typed, problems)["known"] == typed.known
    assert sorted(typed.known) == sorted(column.name for column in SALES.columns)


def test_what_was_chosen_is_stored_and_read_again() -> None:
    chosen = Selection(
        columns=("sold", "day"), filters=(Filter("sold", "between", ("1", "5")),), groups=(Group("day", "week"),),
        totals=(TotalOf("sold", "sum"),), order=("-sold_sum",),
    ).named(SALES)  # fmt: skip
    assert Selection.read(chosen.to_json()) == chosen
    assert dict(chosen.called) == {"sold": "Sold", "day": "Day"}
    assert selection_checks.check(chosen, SALES) == {}
    assert Selection().to_json() == {}


@pytest.mark.parametrize(
    ("chosen", "place", "message"),
    [
        ({"columns": ("day", "gone")}, "columns", "“Gone” is no longer in “Sales”; choose again."),
        ({"filters": (Filter("gone", "is", ("1",)),)}, "filters.0", "“Gone” is no longer in"),
        ({"groups": (Group("gone"),)}, "groups.0", "“Gone” is no longer in"),
        ({"totals": (TotalOf("gone", "sum"),)}, "totals", "“Gone” is no longer in"),
        ({"order": ("-gone",)}, "order.0", "“Gone” is no longer in the rows of"),
        ({"filters": (Filter("", ""),)}, "filters.0", "Choose a column, or remove this filter."),
        ({"filters": (Filter("paid", "is", ("1",)),)}, "filters.0", "cannot be filtered by “Paid”"),
        ({"filters": (Filter("sold", "is", ("many",)),)}, "filters.0", "“many” is no whole number"),
        ({"groups": (Group("sold"),)}, "groups.0", "cannot be grouped by “Sold”"),
        ({"groups": (Group("day", "year"),)}, "groups.0", "cannot be grouped by “Day” like this"),
        ({"groups": (Group("day", "week"), Group("day", "month"))}, "groups.1", "chosen above already"),
        ({"totals": (TotalOf("sold", "most"),)}, "totals", "cannot be summed up like this"),
        ({"columns": ("day", "day")}, "columns", "chosen twice"),
        ({"filters": tuple(Filter("gift", "yes") for _ in range(21))}, "filters.20", "At most 20 filters"),
        ({"groups": (Group("shop"),), "order": ("sold",)}, "order.0", "no longer in the rows of"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_at_its_place(chosen: dict[str, Any], place: str, message: str) -> None:
    assert message in check(called=(("gone", "Gone"),), **chosen)[place]


@pytest.mark.parametrize(
    ("name", "op", "typed", "expected"),
    [
        ("sold", "is", ["1,200"], [1200]), ("sold", "between", ["-2", "+3"], [-2, 3]), ("day", "is", ["2026-02-28"], [date(2026, 2, 28)]),
        ("shop", "one_of", [" a ", "", "b"], ["a", "b"]), ("state", "one_of", ["done"], ["done"]), ("gift", "yes", ["junk"], []),
        ("paid", "at_least", ["12,5"], [Decimal("12.5")]), ("shop", "empty", [], []), ("shop", "contains", ["'; DROP"], ["'; DROP"]),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_values_of_the_column(name: str, op: str, typed: list[str], expected: list[Any]) -> None:
    assert filters.values(SALES.column(name), op, typed) == expected


@pytest.mark.parametrize(
    ("name", "op", "typed", "message"),
    [
        ("sold", "is", [], "Write a number."), ("sold", "between", ["1"], "Write both values."), ("sold", "between", ["5", "1"], "smaller than the first"),
        ("sold", "is", ["1.5"], "no whole number"), ("sold", "is", [str(2**63)], "no whole number"), ("day", "is", ["31.10.2026"], "is no day"),
        ("day", "is", ["0001-01-01"], "between the years"), ("day", "is", [""], "Choose a day."), ("state", "one_of", ["lost"], "no longer one of the choices"),
        ("state", "one_of", [], "Tick at least one."), ("shop", "contains", ["a\x00b"], "no text can contain"), ("shop", "is", ["x" * 501], "longer than"),
        ("shop", "one_of", ["x"] * 101, "At most 100"), ("paid", "is", ["NaN"], "is no number"), ("shop", "between", ["a", "b"], "Choose what to ask"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_said_in_words(name: str, op: str, typed: list[str], message: str) -> None:
    with pytest.raises(filters.BadValue, match=message):
        filters.values(SALES.column(name), op, typed)


def test_rows_that_python_makes_can_be_neither_filtered_nor_grouped() -> None:
    assert selectable.filterable(MADE) == selectable.groupable(MADE) == []
    assert selectable.orders(Selection(), MADE) == []
    problems = selection_checks.check(Selection(filters=(Filter("shop", "is", ("a",)),), groups=(Group("shop"),)), MADE)
    assert set(problems) == {"filters.0", "groups.0"}


def test_another_data_set_begins_with_nothing_chosen() -> None:
    data = QueryDict("s.of=other&s.known=x&s.column=x&s.filter.0.column=x")
    typed = selection_forms.read(data, "test_sales")
    assert selection_forms.of_selection(typed) == Selection()


def test_columns_move_up_and_down_and_nothing_ticked_is_noticed() -> None:
    data = QueryDict(mutable=True)
    data.setlist("s.known", ["day", "shop", "sold", "paid", "state", "gift"])
    data.setlist("s.column", ["day", "sold"])
    typed = selection_forms.change(selection_forms.read(data, "test_sales"), "up:sold")
    assert typed.known[:3] == ("day", "sold", "shop") and typed.focus == "up:sold"
    typed = selection_forms.change(typed, "up:sold")
    assert selection_forms.of_selection(typed).columns == ("sold", "day")
    assert typed.focus == "down:sold", "the button that was pressed can do no more"
    data.setlist("s.column", [])
    assert selection_forms.read(data, "test_sales").is_none


def test_an_average_is_rounded_half_up_and_what_is_empty_does_not_count() -> None:
    average = RunningTotal(SALES.column("sold"), "average")
    for value in (1, None, 2, 2):
        average.add(value)
    assert average.value == Decimal("1.6667")
    assert RunningTotal(SALES.column("sold"), "average").value is None
