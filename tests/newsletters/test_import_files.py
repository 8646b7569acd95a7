"""Reading tables of any encoding and delimiter: one bad line costs one row, and what is no table is said."""

from __future__ import annotations

import codecs
import csv
import io
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletters import import_files
from newsletters.import_files import NotATable, Reading, Table, detect

ROWS = "E-Mail;Name;Ort\nanna@example.org;Anna Müller;Köln\nben@example.org;Ben Šimek;Brno\n"
COMMA = Reading("utf-8", ",")


def read(body: bytes, reading: Reading = COMMA) -> list[import_files.Row]:
    with Table(io.BytesIO(body), reading) as table:
        return list(table.rows())


def cells(body: bytes, reading: Reading = COMMA) -> list[list[str]]:
    return [row.cells for row in read(body, reading) if row.cells]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (ROWS.encode(), "utf-8"),
        (codecs.BOM_UTF8 + ROWS.encode(), "utf-8"),
        (ROWS.encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"), "utf-16"),
        (ROWS.encode("utf-16-le"), "utf-16-le"),
        (ROWS.encode("utf-16-be"), "utf-16-be"),
        (ROWS.replace("Š", "S").encode("cp1252"), "cp1252"),
        (ROWS.replace("Š", "S").encode("latin-1"), "cp1252"),
        (ROWS.encode("ascii", "ignore"), "utf-8"),
    ],
)
def test_the_encoding_is_found_and_the_mark_is_no_part_of_the_first_heading(body: bytes, encoding: str) -> None:
    reading = detect(io.BytesIO(body))
    assert (reading.encoding, reading.delimiter) == (encoding, ";")
    first, anna, ben = cells(body, reading)
    assert first == ["E-Mail", "Name", "Ort"] and anna[0] == "anna@example.org" and len(ben) == 3
    if encoding != "utf-8" or not body.isascii():
        assert anna[1:] == ["Anna Müller", "Köln"]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_although_other_signs_are_in_the_texts(sign: str) -> None:
    lines = [sign.join(("mail", "name", "note")), *(sign.join((f"a{n}@x.org", '"B, C; D|E"', "f")) for n in range(9))]
    body = "\n".join(lines).encode()
    assert detect(io.BytesIO(body)).delimiter == sign
    assert {len(row) for row in cells(body, Reading("utf-8", sign))} == {3}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(end: str) -> None:
    assert cells(f"a,b{end}c,d{end}".encode()) == [["a", "b"], ["c", "d"]]


def test_one_column_without_any_delimiter_is_a_table() -> None:
    body = b"mail\na@example.org\nb@example.org\n"
    assert cells(body, detect(io.BytesIO(body))) == [["mail"], ["a@example.org"], ["b@example.org"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "is empty"),
        (b" \r\n\n\t", "is empty"),
        (codecs.BOM_UTF8, "is empty"),
        (b"PK\x03\x04" + b"x" * 100, "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 100, "old Excel"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\x1f\x8b\x08...", "compressed"),
        (bytes(range(32)) * 50, "not text"),
    ],
)
def test_what_is_no_table_is_said(body: bytes, said: str) -> None:
    with pytest.raises(NotATable, match=said):
        detect(io.BytesIO(body))


def test_quoted_texts_may_hold_everything() -> None:
    body = b'a,"b, with ""quotes"" and\na new line",c\nd,e,f\n'
    assert cells(body) == [["a", 'b, with "quotes" and\na new line', "c"], ["d", "e", "f"]]


def test_a_quotation_mark_that_never_closes_costs_one_row() -> None:
    good = [f"r{number}@example.org,Reader {number}" for number in range(400)]
    body = "\n".join([*good[:200], '"broken@example.org,Broken', *good[200:]]).encode()
    rows = read(body)
    assert [row.number for row in rows] == list(range(1, 402))
    assert [(row.number, row.problem) for row in rows if row.problem] == [
        (201, "A quotation mark is opened and never closed.")
    ]
    assert rows[200].cells == ["broken@example.org", "Broken"]


def test_quotation_marks_that_do_not_match_cost_one_row() -> None:
    rows = read(b'a,b\n"c"d,e\nf,"g\n"h",i\nj,k\n')
    assert [bool(row.problem) for row in rows] == [False, True, True, False, False]
    assert rows[-1].cells == ["j", "k"]


def test_a_second_encoding_half_way_damages_only_its_own_rows() -> None:
    body = "a,Müller\n".encode() * 3 + "b,Müller\n".encode("latin-1") + "c,Müller\n".encode() * 2
    assert detect(io.BytesIO(body)).encoding == "utf-8"
    damaged = [import_files.is_damaged(row.cells[1]) for row in read(body)]
    assert damaged == [False, False, False, True, False, False]


def test_utf16_cut_in_the_middle_of_a_character_is_read_to_there() -> None:
    rows = read("a,b\nc,d\n".encode("utf-16")[:-3], Reading("utf-16", ","))
    assert rows[0].cells == ["a", "b"] and rows[-1].is_last


def test_a_line_that_never_ends_is_one_wrong_row_and_stays_out_of_memory() -> None:
    body = io.BytesIO(b"a,b\n" + b"x" * 20_000_000 + b"\nc,d\n")
    tracemalloc.start()
    with Table(body, COMMA) as table:
        rows = list(table.rows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [bool(row.problem) for row in rows] == [False, True, False] and rows[2].cells == ["c", "d"]
    assert peak < 3_000_000


def test_many_open_quotation_marks_stay_quick() -> None:
    body = b'"a,b\n' * 5000
    started = time.monotonic()
    assert len(read(body)) <= 5000
    assert time.monotonic() - started < 10


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff"), max_size=12), min_size=2, max_size=4
        ),
        max_size=8,
    )
)
def test_what_the_standard_library_writes_is_read_back(table: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    found = [row for row in read(out.getvalue().encode()) if row.cells]
    assert [row.cells for row in found] == [row for row in table if any(cell.strip() for cell in row) or len(row) > 1]
    assert not any(row.problem for row in found)
