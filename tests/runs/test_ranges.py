from __future__ import annotations

import pytest

from runs.ranges import CannotSatisfy, Part, parse


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", Part(0, 9)), ("bytes=90-", Part(90, 99)), ("bytes=-10", Part(90, 99)), ("bytes=-1000", Part(0, 99)),
        ("bytes=95-2000", Part(95, 99)), ("Bytes= 1-2", Part(1, 2)), ("bytes=99-99", Part(99, 99)),
    ],
)  # fmt: skip
def test_it_reads_one_part(header: str, part: Part) -> None:
    assert parse(header, 100) == part


@pytest.mark.parametrize(
    "header",
    ["", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=١-٢", "bytes=" + "9" * 99 + "-"],
)
def test_what_it_cannot_read_gives_the_whole_file(header: str) -> None:
    assert parse(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_part_beyond_the_end_cannot_be_satisfied(header: str) -> None:
    with pytest.raises(CannotSatisfy):
        parse(header, 100)
