"""The page of one schedule, by mouse and by keyboard alone."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCHEDULE = "/admin/schedules/schedule/2/"


def press_until_focused(page: Page, name: str, *, role: str = "link") -> None:
    """Goes on with Tab until the control of that name has the focus, as somebody without a mouse does."""
    wanted = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached with the keyboard")


def test_the_lists_the_skip_and_its_undo_by_keyboard_alone(page: Page) -> None:
    page.goto(SCHEDULE)
    press_until_focused(page, "Upcoming")
    page.keyboard.press("Enter")
    expect(page.locator("nav.al-tabs [aria-current=page]")).to_have_text("Upcoming")
    expect(page.locator(".al-chip", has_text="Yes").first).to_be_visible()
    press_until_focused(page, "Skip the next run", role="button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The next run will be skipped.")).to_be_visible()
    page.goto(f"{SCHEDULE}?tab=upcoming")
    expect(page.get_by_text("will be skipped").first).to_be_visible()
    press_until_focused(page, "Take back the skip", role="button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The next run will take place after all.")).to_be_visible()
    press_until_focused(page, "Changes")
    page.keyboard.press("Enter")
    expect(page.locator(".al-changes")).to_contain_text("took back the skip")


def test_deleting_shows_what_stops_and_can_be_left(page: Page) -> None:
    page.goto(SCHEDULE)
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("These runs will not take place any more")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    page.wait_for_url(re.compile(f"{SCHEDULE}$"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_accessibility_fault_and_nothing_that_only_a_mouse_can_reach(page: Page, theme: str) -> None:
    page.evaluate(f"localStorage.setItem('_x_adminTheme', JSON.stringify('{theme}'))")
    found: list[object] = []
    for path in (SCHEDULE, f"{SCHEDULE}?tab=upcoming", f"{SCHEDULE}?tab=changes", f"{SCHEDULE}delete/"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        results = Axe().run(page, context="#content")
        found += [
            (path, violation["id"], violation["nodes"][0]["html"][:160])
            for violation in results.response["violations"]
            if violation["impact"] in ("critical", "serious")
        ]
        found += page.evaluate(
            "() => [...document.querySelectorAll('#content [x-on\\\\:click], #content [onclick]')]"
            ".filter(element => element.offsetParent && element.tabIndex < 0).map(element => element.outerHTML)"
        )
    assert found == []


def test_nothing_overflows_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in ("runs", "upcoming", "changes"):
        page.goto(f"{SCHEDULE}?tab={tab}")
        assert not page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"), tab
