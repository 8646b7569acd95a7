"""The page of one schedule, by mouse and by keyboard alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import faults_of, is_too_wide, press_until_focused

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCHEDULE = "/admin/schedules/schedule/2/"


def test_the_lists_the_skip_and_its_undo_by_keyboard_alone(page: Page) -> None:
    page.goto(SCHEDULE)
    press_until_focused(page, "Upcoming", role="link")
    page.keyboard.press("Enter")
    expect(page.locator("nav.al-tabs [aria-current=page]")).to_have_text("Upcoming")
    expect(page.locator(".al-chip", has_text="Yes").first).to_be_visible()
    press_until_focused(page, "Skip the next run")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The next run will be skipped.")).to_be_visible()
    page.goto(f"{SCHEDULE}?tab=upcoming")
    expect(page.get_by_text("Skipped: somebody chose to skip it").first).to_be_visible()
    press_until_focused(page, "Take back the skip")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The next run will take place after all.")).to_be_visible()
    press_until_focused(page, "Changes", role="link")
    page.keyboard.press("Enter")
    expect(page.locator(".al-changes")).to_contain_text("took back the skip")


def test_deleting_shows_what_stops_and_can_be_left(page: Page) -> None:
    page.goto(SCHEDULE)
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("These runs will not take place any more")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    page.wait_for_url(re.compile(f"{SCHEDULE}$"))


def test_no_serious_accessibility_fault_and_nothing_that_only_a_mouse_can_reach(page: Page) -> None:
    paths = (SCHEDULE, f"{SCHEDULE}?tab=upcoming", f"{SCHEDULE}?tab=changes", f"{SCHEDULE}delete/")
    assert faults_of(page, paths) == []


def test_nothing_overflows_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("runs", "upcoming", "changes"):
        page.goto(f"{SCHEDULE}?tab={tab}")
        assert not is_too_wide(page), tab
