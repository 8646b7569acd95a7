"""Friday, five to six: Monday's newsletter must be stopped, from the page of the newsletter itself."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, is_too_wide, phone, press_until_focused
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LETTER = "/admin/newsletters/newsletter/1/change/"
PAGES = (LETTER, "/admin/reports/reportdefinition/1/change/", "/admin/cleanup/cleanuppolicy/1/detail/")


def test_the_newsletter_is_stopped_and_let_go_again_by_keyboard_alone(page: Page) -> None:
    page.goto(LETTER)
    panel = page.locator("#when-it-runs")
    expect(panel).to_contain_text("Every Monday at 09:00")
    press_until_focused(page, "Pause Weekly letter, Mondays at nine")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel.get_by_role("button", name="Pause Weekly letter, Mondays at nine")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Why?")).to_be_focused()
    page.keyboard.type("The address is wrong")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("Will not run. Paused: ")
    expect(page).to_have_url(re.compile(LETTER))
    press_until_focused(page, "Resume Weekly letter, Mondays at nine")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Pause Weekly letter, Mondays at nine")).to_be_visible()


def test_a_second_schedule_is_begun_there_with_the_mouse_and_words_say_what_they_leave_out(page: Page) -> None:
    page.goto(LETTER)
    page.get_by_role("link", name="Add a schedule").click()
    expect(page.get_by_label("What to run")).to_have_value("newsletter:1")
    words = page.get_by_label("In words")
    words.fill("every weekday at half past 7 except holidays")
    said = page.locator("[data-said]")
    expect(said).to_have_text("Every weekday (Monday to Friday) at 07:30")
    expect(page.get_by_text("choose a holiday calendar below")).to_be_visible()
    words.fill("every 2 weeks on Monday")
    expect(said).to_contain_text("first and third Monday of the month at 9")


def test_no_serious_accessibility_fault_and_nothing_that_only_a_mouse_can_reach(page: Page) -> None:
    assert faults_of(page, (*PAGES, "/admin/runs/run/")) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        for path in PAGES:
            page.goto(path)
            assert not is_too_wide(page), path
