"""PostgreSQL's own lines are to the byte what Python writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DataError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports import copying, storage
from reports.datasets.registry import Kind, Row
from reports.outputs import Outputs
from reports.sources import Head, Statement
from reports.writers.writer import About
from runs.guards import guard

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="COPY is PostgreSQL's"),
]

CORPUS = [
    "", " ", "a", "=1+1", "+49 30 1234", "-5", "-2+3", "@SUM(A1)", "\t=1", "\tx", "\rx", "\nx", "\r\n=1", " =1", "\u00a0=1",
    "\u200b-1", "\ufeff@x", "＝1", "＋1", "－1", "＠1", "x\n=1", "x\r+1", "x\r\n-1", "x\n \u3000@1", "x\n\n\n=1", "\n\t=\n=",
    "=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', '"', '""', 'say "no"', "a,b", ",", "'", "'=1", "\\.", "\\N", "\\", "a\tb",
    "5%", "%s", "$1", "é", "Ünal", "山田", "שלום", "🎉", "x" * 5000, "x\n" * 300, "\x0b=1", "\x1f=1", "\x7f=1", "\xad=1", "Ａ＝1", "~", "`",
    "{x}", "[=1]", "0=1", ";=1", "<=", ">", "?", "A\r", "A\n", "A\r\n",
]  # fmt: skip
RISKY = "=+-@＝＋－＠\t\r\n \u00a0\u200b\ufeff\x01\x0b\x1f\x7f\xad\u3000\u2028'\",;aZ09é山🎉\\.%"
MOMENTS = [
    datetime(2026, 3, 29, 0, 59, 59, 999_999, timezone.utc), datetime(2026, 3, 29, 1, tzinfo=timezone.utc),
    datetime(2026, 10, 25, 0, 30, tzinfo=timezone.utc), datetime(1880, 1, 1, 12, tzinfo=timezone.utc),
    datetime(1, 1, 2, tzinfo=timezone.utc), datetime(1969, 12, 31, 23, 59, 59, 1, timezone.utc),
    datetime(9999, 1, 1, tzinfo=timezone.utc), datetime(1999, 12, 31, 23, 59, 59, 999_999, timezone.utc),
    datetime(2000, 1, 2, tzinfo=timezone.utc), datetime(2026, 1, 1, 0, 0, 0, 1, timezone.utc), None,
]  # fmt: skip
NUMBERS = [
    Decimal("0.0000001"),
    Decimal("-1234.50"),
    Decimal("1000000000000000000000"),
    Decimal("NaN"),
    Decimal(0),
    None,
]


def _written_by_database(texts: Sequence[str]) -> list[list[str]]:
    sql = "SELECT n::int, t FROM unnest(%s::text[]) WITH ORDINALITY AS x(t, n) ORDER BY n"
    heads = [Head("n", "N", Kind.INTEGER), Head("t", "T", Kind.TEXT)]
    copy = copying.of(Statement(sql, (list(texts),)), heads, "UTC", True)
    assert copy is not None
    data = b"".join(lines for lines, _ in copying.blocks(copy, "UTC", None, lambda: None))
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def _guarded(texts: Sequence[str]) -> list[list[str]]:
    return [[str(n), guard(text)] for n, text in enumerate(texts, 1)]


def test_the_guard_in_sql_guards_what_the_guard_does() -> None:
    assert _written_by_database(CORPUS) == _guarded(CORPUS)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.sampled_from(RISKY), max_size=6) | st.text(max_size=3), min_size=50, max_size=50))
def test_the_guard_in_sql_agrees_for_ten_thousand_texts(texts: list[str]) -> None:
    storable = [text for text in texts if "\x00" not in _utf8(text)]
    assert _written_by_database(storable) == _guarded(storable)


def _utf8(text: str) -> str:
    """With a NUL where no database takes it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "\x00"
    return text


class _Rows:
    """Columns of Python values as a SELECT, and as the rows that Django reads of it."""

    KINDS = (
        ("text", Kind.TEXT), ("text", Kind.TEXT), ("timestamptz", Kind.MOMENT), ("numeric", Kind.DECIMAL), ("boolean", Kind.YES_NO),
        ("date", Kind.DATE), ("bigint", Kind.INTEGER), ("uuid", Kind.TEXT),
    )  # fmt: skip

    def __init__(self) -> None:
        count = len(CORPUS)
        texts: list[str | None] = [*CORPUS[1:], None]
        self._columns: list[list[Any]] = [
            list(CORPUS), ["late", "early", "other", *texts[3:]], [MOMENTS[n % len(MOMENTS)] for n in range(count)],
            [NUMBERS[n % len(NUMBERS)] for n in range(count)], [(True, False, None)[n % 3] for n in range(count)],
            [date(2026, 1, 1) + timedelta(days=n) for n in range(count)], [None, *range(-count + 1, 0)],
            [UUID(int=n) for n in range(count)],
        ]  # fmt: skip
        choices = (("late", "=Late"), ("early", 'Early, "very"'))
        self.heads = [
            Head(f"h{n}", f"+Head {n}", kind, choices if n == 1 else ()) for n, (_, kind) in enumerate(self.KINDS)
        ]

    def statement(self) -> Statement:
        arrays = ", ".join(f"%s::{of_type}[]" for of_type, _ in self.KINDS)
        return Statement(f"SELECT * FROM unnest({arrays}) AS t WHERE '100%%' <> ''", tuple(self._columns))

    def rows(self) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(self.statement().sql, self.statement().parameters)
            return list(cursor.fetchall())


@pytest.fixture
def rows() -> _Rows:
    return _Rows()


def _outputs(rows: _Rows, zone: str, number: int, *, is_guarded: bool = True) -> Outputs:
    about = About("T", "P", zone, datetime(2026, 1, 1, tzinfo=timezone.utc), is_guarded)
    return Outputs((number, 1), ["csv"], rows.heads, about, lambda: None)


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "as it is"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Africa/Monrovia", "UTC"])
def test_both_ways_make_the_same_file(rows: _Rows, zone: str, is_guarded: bool) -> None:
    with (
        _outputs(rows, zone, 1, is_guarded=is_guarded) as ours,
        _outputs(rows, zone, 2, is_guarded=is_guarded) as theirs,
    ):
        ours.write(rows.rows(), {})
        copy = copying.of(rows.statement(), rows.heads, zone, is_guarded)
        assert copy is not None
        for lines, count in copying.blocks(copy, zone, None, lambda: 7):
            assert count <= 7
            theirs.write_lines(lines, count, {})
        ours.end({})
        theirs.end({})
        kept = sorted(storage.folder().glob(".run-*.part"))
        assert kept[0].read_bytes().splitlines() == kept[1].read_bytes().splitlines()
        assert kept[0].read_bytes() == kept[1].read_bytes()
        assert ours.row_count == theirs.row_count == len(CORPUS)
        assert ours.content_sha256 == theirs.content_sha256 != ""
        assert ours.done[0].draft.sha256 == theirs.done[0].draft.sha256


def _copy_of(sql: str, kinds: str = "tt") -> copying.Copy | None:
    heads = [Head(f"c{n}", "C", Kind.TEXT) for n in range(len(kinds))]
    return copying.of(Statement(sql, ()), heads, "UTC", True)


@pytest.mark.parametrize(
    "sql",
    ["SELECT 'a'", "SELECT 1.5::float8, 'x'", "SELECT now()::timestamp, 'x'", "SELECT '{}'::jsonb, 'x'", "SELECT 'a', 'b', 'c'"],
)  # fmt: skip
def test_what_the_database_would_write_otherwise_is_left_to_python(sql: str) -> None:
    assert _copy_of(sql, "t" if sql == "SELECT 'a'" else "tt") is None


def test_a_comment_at_the_end_of_a_statement_stays_one() -> None:
    copy = _copy_of("SELECT 'a', 'b' -- both")
    assert copy is not None
    assert list(copying.blocks(copy, "UTC", 5, lambda: None)) == [(b"a,b\r\n", 1)]


def test_an_error_in_the_middle_is_told_as_the_database_has_it() -> None:
    copy = _copy_of("SELECT (10 / (5000 - n))::text, 'x' FROM generate_series(1, 6000) n")
    assert copy is not None
    with pytest.raises(DataError, match="division by zero"), transaction.atomic():
        list(copying.blocks(copy, "UTC", None, lambda: None))
    assert _written_by_database(["=1"]) == [["1", "'=1"]]  # the connection is as good as before


def _numbers(most: int | None) -> Iterator[tuple[bytes, int]]:
    copy = _copy_of("SELECT n, n FROM generate_series(1, 9000) n")
    assert copy is not None
    return copying.blocks(copy, "UTC", most, lambda: None)


def test_no_more_is_read_than_asked_for() -> None:
    assert sum(count for _, count in _numbers(4321)) == 4321
    assert sum(count for _, count in _numbers(None)) == 9000


class _GivenUp(Exception):
    pass


def test_a_reading_that_is_given_up_leaves_the_connection_usable() -> None:
    with pytest.raises(_GivenUp), transaction.atomic():
        for _ in _numbers(None):
            raise _GivenUp
    assert _written_by_database(["x"]) == [["1", "x"]]
