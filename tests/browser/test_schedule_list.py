"""The list of schedules, by mouse and by keyboard alone: pause, resume, run now, and everything at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.checks import broken_words, faults, is_too_wide, press_until_focused
from tests.browser.conftest import House, context_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LIST = "/admin/schedules/schedule/"
NAME = "Tidy up, every night"


def row(page: Page, name: str = NAME) -> Locator:
    return page.locator("#result_list tbody tr", has=page.get_by_role("link", name=name, exact=True))


def test_a_schedule_is_paused_and_resumed_from_its_row_with_the_mouse(page: Page) -> None:
    page.goto(f"{LIST}?status=active&q=night")
    row(page).get_by_role("button", name=f"Pause {NAME}").click()
    dialog = page.get_by_role("dialog", name=f"Pause “{NAME}”")
    dialog.get_by_label("Why?").fill("Typed and then left")
    dialog.get_by_role("link", name="Back").click()
    expect(dialog).to_have_count(0)
    expect(row(page).get_by_role("button", name=f"Pause {NAME}")).to_be_focused()

    row(page).get_by_role("button", name=f"Pause {NAME}").click()
    dialog.get_by_label("Why?").fill("   ")  # the browser lets it pass, we do not
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("This field is required")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    dialog.get_by_label("Why?").fill("Waiting for the new logo")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("is paused. A run that has already started goes on.")).to_be_visible()
    assert page.url.endswith(f"{LIST}?status=active&q=night")
    page.get_by_role("link", name="Paused", exact=True).click()
    expect(row(page)).to_contain_text("Waiting for the new logo")
    expect(row(page)).to_contain_text("Will not run. Paused: Waiting for the new logo")
    row(page).get_by_role("button", name=f"Resume {NAME}").click()  # nothing was missed, so nothing is asked
    expect(page.get_by_text("is active again")).to_be_visible()


def test_the_same_and_run_now_by_keyboard_alone(page: Page) -> None:
    page.goto(LIST)
    press_until_focused(page, f"Pause {NAME}")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    for _ in range(12):  # the dialog keeps the focus, or hands it to the browser's own controls
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name=f"Pause {NAME}")).to_be_focused()
    page.keyboard.press("Space")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    page.keyboard.type("The office is closed")
    page.keyboard.press("Enter")
    expect(row(page)).to_contain_text("The office is closed")
    expect(page.get_by_role("button", name=f"Resume {NAME}")).to_be_focused()  # goes on where it was
    page.keyboard.press("Enter")
    expect(row(page).locator(".al-chip")).to_have_text(re.compile("Active|Failing"))

    press_until_focused(page, f"Run now {NAME}")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Old sign-ups and sessions")
    expect(dialog.get_by_role("button", name="Run now", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/runs/run/\d+/change/$"))
    expect(page.get_by_text("Succeeded").first).to_be_visible(timeout=30_000)


def test_everything_is_paused_and_every_page_says_so_until_it_is_resumed(page: Page) -> None:
    page.goto(LIST)
    press_until_focused(page, "Pause everything")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Pause everything")
    expect(dialog).to_contain_text("active schedules")
    expect(dialog.locator("ol li").first).to_contain_text("Team memo")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    page.keyboard.type("The mail server moves")
    page.keyboard.press("Enter")
    banner = page.locator(".al-everything-paused")
    expect(banner).to_contain_text("Everything is paused by admin")
    expect(page.get_by_role("button", name="Pause everything")).to_have_count(0)
    expect(row(page)).to_contain_text("Will not run. Everything is paused: The mail server moves")
    page.goto("/admin/newsletters/newsletter/")
    expect(banner).to_contain_text("The mail server moves")
    page.get_by_role("button", name="Resume everything").click()
    expect(page.get_by_text("Schedules run again from their next due times on")).to_be_visible()
    expect(banner).to_have_count(0)


def test_many_are_paused_with_one_reason(page: Page) -> None:
    page.goto(f"{LIST}?kind=report")
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("input.action-select:not(:checked)")).to_have_count(0)
    page.get_by_label("Choose all on this page").uncheck()
    for name in ("Deliveries and subscribers, every Monday", "Runs by schedule, daily"):
        page.get_by_label(f"Choose {name}").check()
    page.locator("[name=action]").select_option(label="Pause…")
    page.get_by_role("button", name="Continue", exact=True).click()
    page.get_by_label("Why?").fill("Quarterly close")
    page.get_by_role("button", name=re.compile("Pause 2 schedules")).click()
    expect(page.get_by_text("1 schedule paused.")).to_be_visible()
    expect(page.get_by_text("paused already, and keeps its own reason")).to_be_visible()
    row(page, "Deliveries and subscribers, every Monday").get_by_role("button", name=re.compile("^Resume ")).click()
    expect(page.get_by_text("is active again")).to_be_visible()


@pytest.mark.parametrize("width", [1360, 1280, 1024, 768, 390])
def test_no_word_breaks_in_the_list(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(LIST)
    page.evaluate(
        """() => document.querySelectorAll('[data-label="Last runs"] > div').forEach(
            cell => cell.insertAdjacentHTML('beforeend', '<span class="al-sub">Succeeded 42 seconds ago</span>'))"""
    )
    assert broken_words(page, "#result_list") == [] and not is_too_wide(page)


@pytest.fixture
def without_scripts(browser: Browser, house: House) -> Iterator[Page]:
    with context_of(browser, house, java_script_enabled=False) as context:
        yield context.new_page()


def test_without_scripts_the_question_is_a_page_of_its_own(without_scripts: Page) -> None:
    page = without_scripts
    page.goto(LIST)
    page.locator(f'button[formaction$="/pause/"]:has-text("{NAME}")').dispatch_event("click")
    page.wait_for_url(re.compile(r"/pause/$"))
    assert page.locator("form[action$='/pause/'] [name=reason]").count() == 1


def test_no_serious_accessibility_fault_and_nothing_that_only_a_mouse_can_reach(page: Page) -> None:
    found: list[object] = []
    for path, button in (
        (LIST, f"Pause {NAME}"),
        (f"{LIST}?status=failing", ""),
        (f"{LIST}?q=night", f"Run now {NAME}"),
        (LIST, "Pause everything"),
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        if button:
            page.get_by_role("button", name=button).click()
            page.locator("dialog[open] form").wait_for()
            found += faults(page, context="dialog")
            page.keyboard.press("Escape")
        found += faults(page)
    assert found == []


def test_a_phone_shows_ten_bars_and_nothing_overflows(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    for path in (LIST, f"{LIST}?status=paused"):
        page.goto(path)
        assert not is_too_wide(page), path
    page.goto(LIST)
    small = page.evaluate(
        "() => [...document.querySelectorAll('#content button, #content nav a, #content input, #content select')]"
        ".filter(element => element.offsetParent).filter(element => element.getBoundingClientRect().height < 24 &&"
        " element.type !== 'checkbox').map(element => element.outerHTML)"
    )
    assert small == []
    page.get_by_role("button", name="Pause everything").click()
    page.locator("dialog[open]").wait_for()
    assert not is_too_wide(page)
