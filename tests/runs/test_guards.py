from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from runs.guards import guard

DANGEROUS = [
    "=1+1", "=cmd|' /C calc'!A0", "+49 30 1234567", "-2+3", "@SUM(A1:A9)", "\t=1", "\r=1", "\n=1", "\tplain", "\rplain",
    "  =1", "\u00a0=1", "\u00a0 \u2009@x", "\ufeff=1", "\u200b=1", "\x00=1", "＝1", "＋1", "－1", "＠x",
    '=HYPERLINK("http://evil.example","x")', "-", "=", " \t=x",
]  # fmt: skip
HARMLESS = [
    "",
    "Ada",
    "a=b",
    "1-2",
    "'=1",
    "Ünal",
    "山田",
    "…=1",
    "(=1)",
    "  plain",
    "https://x.example/?a=b",
    "ada+news@example.org",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_it_disarms_text_that_would_start_a_formula(text: str) -> None:
    guarded = guard(text)
    assert guarded.startswith("'") and guarded.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize("text", HARMLESS)
def test_it_leaves_other_text_alone(text: str) -> None:
    assert guard(text) == text


@pytest.mark.parametrize("value", [-5, -5.5, Decimal("-1234.56"), 0, None, True, date(2026, 1, 1)])
def test_it_never_touches_anything_but_text(value: Any) -> None:
    assert guard(value) is value


def test_later_lines_are_held_to_the_same_rule() -> None:
    assert guard("Hello\n=1\r\n  @x\nbye") == "Hello\n'=1\r\n'  @x\nbye"
