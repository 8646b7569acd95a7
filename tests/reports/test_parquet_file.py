from __future__ import annotations

import io
import subprocess
import sys
from datetime import datetime, timezone
from decimal import Decimal
from math import isnan, nan
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from reports import storage
from reports.datasets.registry import Kind
from reports.writers import parquet_file
from tests.reports import files


def opened(content: bytes) -> parquet.ParquetFile:
    return parquet.ParquetFile(io.BytesIO(content))


def column(kind: Kind, *values: Any) -> parquet.ParquetFile:
    return opened(files.made("parquet", files.heads(x=kind), [(value,) for value in values]))


def test_each_kind_is_a_type() -> None:
    heads = files.heads(
        text=Kind.TEXT, whole=Kind.INTEGER, amount=Kind.DECIMAL, day=Kind.DATE, at=Kind.MOMENT, ok=Kind.YES_NO
    )
    schema = opened(files.made("parquet", heads, [])).schema_arrow
    assert [str(field.type) for field in schema] == [
        "string", "int64", "decimal128(38, 18)", "date32[day]", "timestamp[us, tz=Europe/Berlin]", "bool",
    ]  # fmt: skip
    assert schema.field("amount").metadata == {b"label": b"Amount", b"kind": b"decimal"}


def test_moments_are_stored_in_utc() -> None:
    file = column(Kind.MOMENT, datetime(2026, 7, 1, 12, tzinfo=timezone.utc))
    assert '"isAdjustedToUTC":true' in file.schema.column(0).logical_type.to_json().replace(" ", "")
    stored = file.read().column(0).cast(pa.int64())[0].as_py()
    assert stored == int(datetime(2026, 7, 1, 12, tzinfo=timezone.utc).timestamp()) * 1_000_000


def test_rows_come_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 100)
    monkeypatch.setattr(parquet_file, "ROWS_A_GROUP", 1000)
    file = opened(files.made("parquet", files.heads(n=Kind.INTEGER), [(n,) for n in range(2350)]))
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [1000, 1000, 350]
    assert file.read().column(0).to_pylist() == list(range(2350))


def test_long_texts_make_smaller_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(parquet_file, "_BYTES_A_GROUP", 100_000)
    file = opened(files.made("parquet", files.heads(x=Kind.TEXT), [("x" * 5000,)] * 100))
    assert file.num_row_groups == 5


def test_numbers_too_large_for_the_usual_type_get_a_larger_one() -> None:
    assert str(column(Kind.INTEGER, 2**64).schema_arrow[0].type) == "decimal128(38, 0)"
    exact = Decimal("1" * 30 + "." + "1" * 30)
    file = column(Kind.DECIMAL, exact)
    assert (str(file.schema_arrow[0].type), file.read().to_pylist()) == ("decimal256(76, 38)", [{"x": exact}])


def test_numbers_of_sqlite_stay_what_they_are() -> None:
    file = column(Kind.DECIMAL, 0.1, 2, nan, None)
    values = [row["x"] for row in file.read().to_pylist()]
    assert file.schema_arrow[0].type == pa.float64()
    assert (values[0], values[1], values[3]) == (0.1, 2.0, None) and isnan(values[2])


def test_what_was_rounded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 2)
    file = column(Kind.DECIMAL, Decimal("1.5"), None, Decimal("0.1234567890123456789"), Decimal("2"))
    assert file.read().to_pylist()[2] == {"x": Decimal("0.123456789012345679")}
    assert file.metadata.metadata[b"Rounded in x"] == b"1 number, to 18 decimals"


@pytest.mark.parametrize(("kind", "value"), [(Kind.INTEGER, "many"), (Kind.INTEGER, Decimal("1.5")), (Kind.DATE, "today"), (Kind.MOMENT, "now"), (Kind.DECIMAL, Decimal("NaN"))])  # fmt: skip
def test_a_value_of_another_kind_is_refused_in_words(kind: Kind, value: Any) -> None:
    with pytest.raises(storage.StorageError, match="The column “X” holds a value that does not fit"):
        column(kind, value)


def test_the_file_says_what_it_is() -> None:
    about = column(Kind.TEXT, "a").metadata.metadata
    assert about[b"Report"] == b"Numbers" and about[b"Rows"] == b"1"
    assert about[b"Times are those of"] == b"Europe/Berlin"


def test_a_worker_that_makes_no_such_file_carries_no_library_for_it() -> None:
    script = (
        "import django; django.setup()\nimport sys\nfrom reports.writers import registry\nfrom reports import running\n"
        "print([name for name in ('pyarrow', 'xlsxwriter', 'fpdf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
