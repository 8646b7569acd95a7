"""Deleting what a schedule still runs: refused with a way on, by mouse and by keyboard alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, phone, press_until_focused, too_wide
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]
POLICY = "/admin/cleanup/cleanuppolicy/1/"
REPORT = "/admin/reports/reportdefinition/1/"


def test_a_policy_in_use_leads_to_the_schedule_that_runs_it(page: Page) -> None:
    page.goto(POLICY)
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("still runs it. Delete or change that schedule first.")).to_be_visible()
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    page.get_by_role("link", name="Open “Tidy up, every night”").click()
    page.wait_for_url(re.compile(r"/admin/schedules/schedule/\d+/$"))


def test_the_same_by_keyboard_alone(page: Page) -> None:
    page.goto(f"{REPORT}delete/")
    press_until_focused(page, "Open “Deliveries and subscribers, every Monday”", role="link")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/schedules/schedule/\d+/$"))
    page.go_back()
    press_until_focused(page, "Back", role="link")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"{REPORT}change/$"))


def test_no_serious_accessibility_fault(page: Page) -> None:
    assert faults_of(page, [f"{POLICY}delete/"]) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        assert too_wide(page, [f"{POLICY}delete/", f"{REPORT}delete/"]) == []
