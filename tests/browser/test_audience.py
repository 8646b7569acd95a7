"""A segment put together without a mouse, and what staff do with one subscriber."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, phone, press_until_focused, too_wide
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SUBSCRIBER = "/admin/newsletters/subscriber/7/"
PAGES = [
    "/admin/newsletters/segment/", "/admin/newsletters/segment/1/change/", "/admin/newsletters/segment/add/",
    "/admin/newsletters/subscriber/", SUBSCRIBER, "/admin/newsletters/subscriber/7/change/",
    "/admin/newsletters/subscriberfield/", "/admin/newsletters/subscriberfield/1/change/",
    "/admin/newsletters/list/", "/admin/newsletters/list/1/change/", "/admin/newsletters/suppression/",
]  # fmt: skip


def test_a_segment_is_put_together_by_keyboard(page: Page) -> None:
    page.goto("/admin/newsletters/segment/add/")
    live = page.locator("#segment-live")
    expect(live).to_contain_text("Choose what this rule is about")
    page.locator("[name=name]").focus()
    page.keyboard.type("Harbour, by keyboard")
    press_until_focused(page, "What rule 1 is about", role="combobox")
    page.keyboard.type("District")
    expect(page.get_by_label("Old Town")).to_be_visible()
    press_until_focused(page, "Harbour", role="checkbox")
    page.keyboard.press("Space")
    expect(live).to_contain_text("Subscribers whose District is “Harbour”.")
    expect(live).to_contain_text("54 subscribers")

    press_until_focused(page, "Add a group")
    page.keyboard.press("Enter")
    expect(page.get_by_label("What rule 2.1 is about")).to_be_focused()
    page.keyboard.type("Language")
    value = page.locator("[id='r.1.0.value']")
    expect(value).to_be_visible()
    value.focus()
    page.keyboard.type("en")
    expect(live).to_contain_text("and whose language is en")
    press_until_focused(page, "Add a rule to group 2")
    page.keyboard.press("Enter")
    expect(page.get_by_label("What rule 2.2 is about")).to_be_focused()
    press_until_focused(page, "Remove rule 2.2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add a rule to group 2")).to_be_focused()
    expect(value).to_have_value("en")

    press_until_focused(page, "Save")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/segment/\d+/change/$"))
    expect(page.get_by_text("“Harbour, by keyboard” is saved.")).to_be_visible()
    page.goto("/admin/newsletters/segment/")
    expect(page.locator("#result_list")).to_contain_text("District is “Harbour” and whose language is en")


def test_what_is_missing_is_said_at_its_rule_and_nothing_is_lost(page: Page) -> None:
    page.goto("/admin/newsletters/segment/add/")
    page.locator("[name=name]").fill("Half done")
    page.get_by_label("What rule 1 is about").select_option(label="Added as a subscriber")
    page.locator("[id='r.0.op']").select_option(label="in the last … days")
    expect(page.locator("[id='r.0.value']")).to_have_attribute("type", "number")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("[id='r.0.error']")).to_contain_text("Write a number of days")
    expect(page.locator("[name=name]")).to_have_value("Half done")


def test_a_subscriber_is_silenced_by_keyboard_and_may_come_back(page: Page) -> None:
    page.goto(SUBSCRIBER)
    expect(page.get_by_text("Signed up for City news")).to_be_visible()
    press_until_focused(page, "Send nothing…")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Why?")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send nothing…")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("Why?").fill("Asked by phone")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Gets no newsletter.")).to_be_visible()
    page.get_by_role("button", name="Lift it…").click()
    page.get_by_role("button", name="Lift the suppression").click()
    expect(page.get_by_text("Say why, for whoever asks later.")).to_be_visible()
    page.get_by_label("Why?").fill("Wrote to us")
    page.get_by_role("button", name="Lift the suppression").click()
    expect(page.locator(".al-head .al-chip").first).to_have_text("Gets newsletters")
    page.get_by_role("button", name="Erase…").click()
    expect(page.locator("dialog")).to_contain_text("Nobody can take this back.")
    page.keyboard.type("wrong@example.org")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_contain_text("This is not their address.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Erase…")).to_be_focused()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download their data").click()
    assert "personal data" in download.value.suggested_filename


def test_the_pages_have_no_serious_accessibility_fault(page: Page) -> None:
    assert faults_of(page, PAGES) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        assert too_wide(page, PAGES) == []
