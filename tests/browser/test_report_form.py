"""A report put together with the keyboard: data set, columns, filter, groups; the preview follows, and all of it is kept."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, is_too_wide, phone, press_until_focused
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADD = "/admin/reports/reportdefinition/add/"


def test_a_report_is_put_together_by_keyboard_and_the_preview_follows(page: Page) -> None:
    page.goto(ADD)
    preview = page.locator("#report-preview")
    expect(preview).to_contain_text("Choose what the report lists")
    page.locator("[name=name]").focus()
    page.keyboard.type("Activity, by keyboard")
    press_until_focused(page, "What it lists*", role="combobox")
    page.keyboard.type("Activity")
    steps = page.get_by_role("group", name="Columns")
    expect(steps.get_by_role("checkbox").first).to_be_visible()
    # Today counts as well, so that something is listed in a house that was just begun.
    page.get_by_label("Always the same days").check()
    page.get_by_label("First day", exact=True).fill("2026-01-01")
    page.get_by_label("Last day", exact=True).fill("2026-12-31")
    expect(preview).to_contain_text("For 1 January to 31 December 2026")
    heads = preview.get_by_role("columnheader")
    expect(heads.first).to_have_text("When")

    press_until_focused(page, "Move When down")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Move When down")).to_be_focused()
    expect(heads.nth(1)).to_have_text("When")

    press_until_focused(page, "Add a filter")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Column of filter 1")).to_be_focused()
    page.keyboard.type("What was done")
    value = page.get_by_label("Value of filter 1")
    expect(value).to_be_visible()
    value.focus()
    page.keyboard.type("nobody does this")
    expect(preview).to_contain_text("There is nothing to list for these days.")
    press_until_focused(page, "Remove filter 1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add a filter")).to_be_focused()
    expect(preview).not_to_contain_text("There is nothing to list")

    press_until_focused(page, "One row for each, 1", role="combobox")
    page.keyboard.type("What was done")
    expect(page.get_by_label("One row for each, 2")).to_be_visible()
    expect(heads).to_have_text(["What was done", "Rows"])

    # Enter in a field saves; it never presses a button of the builder.
    page.locator("[name=name]").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/reportdefinition/$"))
    page.get_by_role("link", name="Activity, by keyboard").first.click()
    expect(page.get_by_label("One row for each, 1")).to_have_value(re.compile(r"^action:$|^what"))
    expect(page.get_by_label("First day", exact=True)).to_have_value("2026-01-01")
    expect(preview.get_by_role("columnheader")).to_have_text(["What was done", "Rows"])


def test_what_is_wrong_is_said_where_it_is_and_nothing_is_lost(page: Page) -> None:
    page.goto(ADD)
    page.locator("[name=name]").fill("Half done")
    page.get_by_label("What it lists").select_option(label="Runs, one by one")
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("Column of filter 1").select_option(label="Attempts")
    expect(page.get_by_label("Value of filter 1")).to_be_visible()
    page.get_by_label("Always the same days").check()
    page.get_by_label("First day", exact=True).fill("2026-10-31")
    page.get_by_label("Last day", exact=True).fill("2026-10-01")
    expect(page.locator("#report-preview")).to_contain_text("The last day lies before the first one.")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("alert").filter(has_text="Write a number.")).to_be_visible()
    expect(page.locator("[name=name]")).to_have_value("Half done")
    expect(page.get_by_label("Last day", exact=True)).to_have_value("2026-10-01")


def test_the_form_has_no_serious_accessibility_fault(page: Page) -> None:
    page.goto(ADD)
    page.get_by_label("What it lists").select_option(label="Runs, one by one")
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("Column of filter 1").select_option(label="State")
    page.get_by_label("Failed").check()
    expect(page.locator("#report-preview")).to_contain_text("UTC: ")
    assert faults(page) == []


def test_the_form_fits_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        page.goto(ADD)
        page.get_by_label("What it lists").select_option(label="Runs, one by one")
        page.get_by_role("button", name="Add a filter").click()
        page.get_by_label("Column of filter 1").select_option(label="Due")
        expect(page.locator("[id='s.filter.0.value.0']")).to_be_visible()
        assert not is_too_wide(page)
        page.goto("/admin/reports/reportdefinition/1/change/")
        expect(page.locator("#report-preview")).to_contain_text("7 rows")
        assert not is_too_wide(page)
