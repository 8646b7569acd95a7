"""A file of subscribers from the upload to the result: by mouse, by keyboard alone, in the dark and on a phone."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, is_too_wide, phone, press_until_focused, use_theme
from tests.browser.conftest import House

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def table(folder: Path, name: str, rows: int) -> Path:
    lines = [
        "E-Mail;Vorname;Größe",
        *(f"{name}{number}@example.org;Jürgen;{number}" for number in range(rows)),
        "nobody;X;1",
    ]
    path = folder / f"{name}.csv"
    path.write_bytes("\r\n".join(lines).encode("cp1252"))
    return path


def test_a_file_is_brought_in_step_by_step(page: Page, tmp_path: Path) -> None:
    page.goto("/admin/newsletters/importjob/add/")
    assert faults(page) == []
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04 not a table")
    page.set_input_files("[name=file]", tmp_path / "book.xlsx")
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_role("alert")).to_contain_text("Excel")
    page.set_input_files("[name=file]", table(tmp_path, "mouse", 300))
    page.get_by_role("button", name="Upload and look at it").click()

    expect(page.get_by_label("The first rows")).to_contain_text("Jürgen")
    assert faults(page) == []
    page.get_by_label("Encoding").select_option("utf-8")
    page.get_by_label("How did these people agree?").fill("Paper form at the fair")
    page.get_by_role("button", name="Read it this way").click()
    expect(page.get_by_label("The first rows")).not_to_contain_text("Jürgen")
    expect(page.get_by_label("How did these people agree?")).to_have_value("Paper form at the fair")
    page.get_by_label("Encoding").select_option("cp1252")
    page.get_by_role("button", name="Read it this way").click()
    page.get_by_label("“Größe” becomes").select_option("attribute:grosse")
    page.get_by_label("City news").check()
    page.get_by_label("How did these people agree?").fill("")
    page.get_by_role("button", name="Check every row").click()
    expect(page.get_by_text("Say how these people agreed")).to_be_visible()
    expect(page.get_by_label("“Größe” becomes")).to_have_value("attribute:grosse")
    page.get_by_label("How did these people agree?").fill("Paper form at the fair")
    page.get_by_role("button", name="Check every row").click()

    expect(page.get_by_text("301 rows tried, nobody added yet")).to_be_visible(timeout=30_000)
    expect(page.locator("#import-said")).to_contain_text("Checked")
    assert faults(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8-sig").splitlines()))
    assert [(row["Row"], row["Value"]) for row in rows] == [("302", "nobody")]
    page.get_by_role("button", name="Import 300 new").click()
    expect(page.get_by_text("301 rows settled")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Delete the uploaded file").click()
    expect(page.get_by_text("The uploaded file is deleted.", exact=True)).to_be_visible()
    page.goto("/admin/newsletters/importjob/")
    expect(page.get_by_text("300 added, 1 wrong")).to_be_visible()


def test_by_keyboard_alone_in_the_dark(page: Page, tmp_path: Path) -> None:
    use_theme(page, "dark")
    page.goto("/admin/newsletters/importjob/add/")
    page.set_input_files(
        "[name=file]", table(tmp_path, "keys", 40)
    )  # the browser's own dialog has no keys to press here
    press_until_focused(page, "Upload and look at it")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/importjob/\d+/change/"))
    assert faults(page) == []
    press_until_focused(page, "Staff", role="checkbox")
    page.keyboard.press("Space")
    press_until_focused(page, "How did these people agree?", role="textbox")
    page.keyboard.type("They work here")
    page.keyboard.press("Enter")  # which checks, and does not only read the file again
    expect(page.get_by_text("41 rows tried, nobody added yet")).to_be_visible(timeout=30_000)
    assert faults(page) == []
    press_until_focused(page, "Back to the columns", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_label("How did these people agree?")).to_have_value("They work here")
    press_until_focused(page, "Check every row")
    page.keyboard.press("Enter")
    expect(page.get_by_text("41 rows tried, nobody added yet")).to_be_visible(timeout=30_000)
    press_until_focused(page, "Import 40 new")
    page.keyboard.press("Enter")
    expect(page.get_by_text("41 rows settled")).to_be_visible(timeout=30_000)
    assert faults(page) == []


def test_nothing_is_too_wide_on_a_phone(browser: Browser, house: House, tmp_path: Path) -> None:
    with phone(browser, house) as page:
        page.goto("/admin/newsletters/importjob/add/")
        assert not is_too_wide(page)
        path = tmp_path / "wide.csv"
        path.write_text(",".join([*(f"A long heading {n}" for n in range(30)), "mail"]) + "\n" + "x" * 200 + "," * 30 + "a@example.org\n")  # fmt: skip
        page.set_input_files("[name=file]", path)
        page.get_by_role("button", name="Upload and look at it").click()
        expect(page.get_by_label("The first rows")).to_be_visible()
        assert not is_too_wide(page) and faults(page) == []
        page.get_by_role("button", name="Check every row").click()
        expect(page.get_by_text("1 row tried, nobody added yet")).to_be_visible(timeout=30_000)
        assert not is_too_wide(page)
        for address in ("/admin/newsletters/importjob/", "/admin/newsletters/newsletter/1/feed/"):
            page.goto(address)
            assert not is_too_wide(page) and faults(page) == [], address


def test_a_feed_that_cannot_be_fetched_is_said_on_its_page(page: Page) -> None:
    page.goto("/admin/newsletters/newsletter/1/change/")
    source = page.locator("#id_source")
    source.select_option("feed")
    page.get_by_label("Address of the feed").fill("http://127.0.0.1/feed.xml")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    page.goto("/admin/newsletters/newsletter/1/feed/")
    page.get_by_role("link", name="Look at the feed now").click()
    expect(page.get_by_role("alert")).to_contain_text("not a public address")
    assert faults(page) == []
    page.get_by_role("link", name="Back to Weekly letter").click()
    source.select_option("text")
    page.get_by_role("button", name="Save and continue editing").click()
    page.goto("/admin/newsletters/newsletter/1/feed/")
    expect(page.get_by_text("No feed is read")).to_be_visible()
