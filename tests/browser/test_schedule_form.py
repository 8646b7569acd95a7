"""The schedule form as staff use it: by mouse, by keyboard alone, with two editors, and with a session that expires."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.browser.checks import faults, is_too_wide, phone
from tests.browser.conftest import House, context_of, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADD = "/admin/schedules/schedule/add/"
SAVED = re.compile(r"/admin/schedules/schedule/\d+/$")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def make(page: Page, name: str) -> str:
    """A weekly schedule by the simple mode; returns the address of its form."""
    page.goto(ADD)
    page.get_by_label("What to run").select_option(label="Runs by schedule, yesterday")
    page.locator("[name=name]").fill(name)
    save(page)
    page.wait_for_url(SAVED)
    return f"{page.url}change/"


def test_a_weekly_schedule_by_mouse_and_a_double_click_makes_one(page: Page) -> None:
    page.goto(ADD)
    panel = page.locator("#schedule-preview")
    expect(panel).to_contain_text("Every Monday at 09:00")
    page.get_by_label("What to run").select_option(label="Weekly letter")
    expect(page.get_by_label("Must start within (minutes)")).to_have_value("30")  # the newsletter's own rules
    page.locator("[name=name]").fill("By mouse")
    page.get_by_label("Thursday").check()
    page.get_by_label("At", exact=True).fill("8:30")
    expect(panel).to_contain_text("Every Monday and Thursday at 08:30")
    expect(panel).to_contain_text("runs a month")
    page.get_by_label("Every month").check()
    page.get_by_label("A weekday, such as the first Monday").check()
    expect(panel).to_contain_text("On the first Monday of every month at 08:30")
    expect(page.get_by_label("Thursday")).to_be_hidden()
    page.get_by_label("Advanced: a pattern").check()
    expect(page.get_by_label("Pattern", exact=True)).to_have_value("30 8 * * 1#1")  # to go on with by hand
    page.get_by_label("Every week").check()
    page.get_by_role("button", name="Save", exact=True).dblclick()
    page.wait_for_url(SAVED)
    expect(page.get_by_text("Every Monday and Thursday at 08:30").first).to_be_visible()
    page.goto("/admin/schedules/schedule/?q=By+mouse")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.goto(ADD)
    expect(page.locator(".al-typing-kept")).to_have_count(0)  # what was saved is not offered again


def test_words_are_used_by_keyboard_alone(page: Page) -> None:
    page.goto(ADD)
    page.get_by_label("What to run").focus()
    page.keyboard.type("Runs by")
    page.keyboard.press("Tab")
    page.keyboard.type("By keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type("last friday of the month at 16:00")
    expect(page.locator("#schedule-preview-said")).to_contain_text("On the last Friday of every month at 16:00")
    page.keyboard.press("Enter")  # uses the words; does not save
    expect(page.get_by_label("Every month")).to_be_checked()
    expect(page.get_by_label("At", exact=True)).to_have_value("16:00")
    expect(page.get_by_label("In words")).to_be_focused()
    expect(page.get_by_label("In words")).to_have_value("")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Every month")).to_be_focused()
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    page.wait_for_url(SAVED)
    expect(page.get_by_text("On the last Friday of every month at 16:00").first).to_be_visible()


def test_an_edit_shows_both_lists_and_the_second_editor_is_told(page: Page, browser: Browser, house: House) -> None:
    form = make(page, "Two editors")
    page.goto(form)
    page.get_by_label("At", exact=True).fill("10:15")
    panel = page.locator("#schedule-preview")
    expect(panel.get_by_role("heading", name="Until now")).to_be_visible()
    expect(panel.locator("section").first).to_contain_text("09:00")
    expect(panel.locator("section").last).to_contain_text("10:15")

    other = browser.new_context(base_url=house.url).new_page()
    sign_in(other)
    other.goto(form)
    other.locator("[name=name]").fill("Two editors, renamed")
    save(other)
    other.wait_for_url(SAVED)
    other.context.close()

    save(page)
    expect(page.locator("#other-edits")).to_contain_text("Name: Two editors → Two editors, renamed")
    expect(page.get_by_label("At", exact=True)).to_have_value("10:15")
    save(page)
    page.wait_for_url(SAVED)
    expect(page.get_by_text("Every Monday at 10:15").first).to_be_visible()


def test_an_expired_session_keeps_what_was_typed(page: Page) -> None:
    page.goto(ADD)
    page.get_by_label("What to run").select_option(label="Runs by schedule, yesterday")
    page.locator("[name=name]").fill("Typed for ten minutes")
    page.get_by_label("Every day", exact=True).check()
    page.get_by_label("At", exact=True).fill("06:45")
    expect(page.locator("#schedule-preview")).to_contain_text("Every day at 06:45")
    page.context.clear_cookies(name="sessionid")
    page.locator("[name=name]").fill("Typed for eleven minutes")
    expect(page.locator("#schedule-preview")).to_contain_text("You have been signed out")
    save(page)
    page.wait_for_url(re.compile("/admin/login/"))
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "walk-the-house")
    page.click("[type=submit]")
    page.wait_for_url(re.compile(re.escape(ADD)))
    expect(page.locator("[name=name]")).to_have_value("")
    page.get_by_role("button", name="Bring back what you typed").press("Enter")
    expect(page.locator("[name=name]")).to_have_value("Typed for eleven minutes")
    expect(page.locator("[name=name]")).to_be_focused()
    expect(page.locator("#schedule-preview")).to_contain_text("Every day at 06:45")
    save(page)
    page.wait_for_url(SAVED)
    expect(page.get_by_text("Every day at 06:45").first).to_be_visible()


def test_leaving_unsaved_is_asked_also_for_values_that_words_filled_in(page: Page) -> None:
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto(ADD)
    page.goto("/admin/")
    assert asked == []
    page.goto(ADD)
    page.get_by_label("In words").fill("every day at 7")
    page.locator("#schedule-preview").get_by_role("button", name="Use this").click()
    expect(page.get_by_label("At", exact=True)).to_have_value("07:00")
    page.goto("/admin/")
    assert asked == ["beforeunload"]


def test_words_whose_reading_is_shown_are_saved_at_once(page: Page) -> None:
    page.goto(ADD)
    page.get_by_label("What to run").select_option(label="Runs by schedule, yesterday")
    page.locator("[name=name]").fill("By words alone")
    page.get_by_label("In words").fill("every first monday of the month at 9:30")
    expect(page.locator("#schedule-preview")).to_contain_text("On the first Monday of every month at 09:30")
    save(page)
    page.wait_for_url(SAVED)
    expect(page.get_by_text("On the first Monday of every month at 09:30").first).to_be_visible()


def test_what_was_refused_is_one_click_away(page: Page) -> None:
    page.goto("/admin/newsletters/newsletter/add/")
    page.locator("[name=name]").fill("Without readers")
    page.locator("[name=subject]").fill("A subject")
    save(page)
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("Nothing was saved yet")
    refused.get_by_role("link", name="Lists").click()
    expect(page.get_by_text("This field is required.")).to_be_in_viewport()
    expect(page.locator("[name=name]")).to_have_value("Without readers")


def test_the_form_has_no_serious_accessibility_fault(page: Page) -> None:
    found: list[object] = []
    for path in (ADD, "/admin/schedules/schedule/2/change/"):
        page.goto(path)
        page.get_by_label("Every month").check()
        page.get_by_label("Day number").fill("31")
        expect(page.locator("#schedule-preview")).to_contain_text("31st")
        page.get_by_label("In words").fill("whenever")
        expect(page.locator("#schedule-preview")).to_contain_text("could not read")
        save(page)
        found += faults(page)
    assert found == []


def test_the_form_fits_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        for path in (ADD, "/admin/schedules/schedule/2/change/"):
            page.goto(path)
            page.get_by_label("At", exact=True).fill("10:15")
            expect(page.locator("#schedule-preview")).to_contain_text("10:15")
            assert not is_too_wide(page), path


def test_without_javascript_every_field_is_there_and_words_alone_are_enough(browser: Browser, house: House) -> None:
    with context_of(browser, house, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(ADD)
        for label in ("Pattern", "Day number", "Date and time", "At"):
            expect(page.get_by_label(label, exact=True)).to_be_visible()
        page.get_by_label("What to run").select_option(label="Runs by schedule, yesterday")
        page.locator("[name=name]").fill("Without scripts")
        page.get_by_label("In words").fill("every saturday at 11")
        save(page)
        expect(page.get_by_text("Your words were read as “Every Saturday at 11:00”").first).to_be_visible()
        save(page)
        page.wait_for_url(SAVED)
        expect(page.get_by_text("Every Saturday at 11:00").first).to_be_visible()
