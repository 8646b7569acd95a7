"""A reason typed while the session ended, and a form whose row somebody else deleted: what was typed is still there."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import faults, is_too_wide
from tests.browser.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]
REASON = "Waiting for the new logo"


def sign_in_again(page: Page) -> None:
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def look_at(page: Page, name: str) -> None:
    """No serious fault, nothing too wide on a phone; the pictures are for whoever asks for them."""
    assert faults(page) == []
    folder = os.environ.get("PICTURES")
    for width, height in ((1280, 900), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        assert not is_too_wide(page)
        if folder:
            page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})


def end_session(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def test_the_reason_of_a_pause_is_asked_again_after_signing_in(page: Page) -> None:
    """By keyboard alone, in the dialog of the list."""
    page.goto("/admin/schedules/schedule/")
    pause = page.locator("button[data-dialog]", has_text=re.compile(r"^Pause ")).nth(1)
    name = str(pause.locator(".al-hidden").text_content()).strip()
    pause.press("Enter")
    page.get_by_label("Why?").fill(REASON)
    end_session(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/login/**")
    sign_in_again(page)
    expect(page.get_by_label("Why?")).to_have_value(REASON)
    expect(page.get_by_text("nothing has been done yet")).to_be_visible()
    expect(page.get_by_role("heading", name=f"Pause “{name}”").first).to_be_visible()
    look_at(page, "asked again")
    page.locator("#content").get_by_role("button", name="Pause", exact=True).press("Enter")
    expect(page.get_by_text(f"“{name}” is paused")).to_be_visible()
    assert page.url.endswith("/admin/schedules/schedule/"), "back on the list that asked"
    expect(page.get_by_role("button", name=f"Resume {name}")).to_be_visible()


def test_signing_in_again_in_another_tab_costs_nothing(page: Page) -> None:
    page.goto("/admin/schedules/schedule/")
    pause = page.locator("button[data-dialog]", has_text=re.compile(r"^Pause ")).nth(1)
    name = str(pause.locator(".al-hidden").text_content()).strip()
    pause.click()
    page.get_by_label("Why?").fill(REASON)
    end_session(page)
    other = page.context.new_page()
    other.goto("/admin/login/")
    sign_in_again(other)
    other.wait_for_url("**/admin/")
    other.close()
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text(f"“{name}” is paused")).to_be_visible()


def test_a_form_whose_policy_was_deleted_meanwhile_is_offered_as_a_new_one(page: Page) -> None:
    page.goto("/admin/cleanup/cleanuppolicy/add/")
    page.get_by_label("Name").fill("Passing")
    page.get_by_role("checkbox").first.check()
    page.locator("[name=days]").fill("400")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/cleanuppolicy/\d+/detail/"))
    change = page.url.replace("/detail/", "/change/")
    page.goto(change)
    page.locator("[name=days]").fill("500")
    other = page.context.new_page()
    other.goto(change.replace("/change/", "/delete/"))
    other.get_by_role("button", name="Delete", exact=True).click()
    other.wait_for_url("**/cleanuppolicy/")
    other.close()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Passing” was deleted by admin")).to_be_visible()
    expect(page.locator("[name=days]")).to_have_value("500")
    look_at(page, "deleted meanwhile")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/cleanuppolicy/\d+/detail/"))
    expect(page.get_by_text("500 days").first).to_be_visible()


FORMS = {
    "/admin/newsletters/newsletter/1/change/": ("[name=name]", "Letter with a new name"),
    "/admin/reports/reportdefinition/1/change/": ("[name=name]", "Figures with a new name"),
    "/admin/cleanup/cleanuppolicy/1/change/": ("[name=days]", "4321"),
    "/admin/newsletters/lettertemplate/add/": ("[name=source]", "{{ content }}\nA layout that took an hour"),
}


def leave_by_signing_in_again(page: Page, button: str = "Save") -> None:
    end_session(page)
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_url("**/admin/login/**")
    sign_in_again(page)


@pytest.mark.parametrize("path", FORMS)
def test_what_was_typed_into_a_form_is_offered_after_signing_in_again(page: Page, path: str) -> None:
    field, typed = FORMS[path]
    page.goto(path)
    before = page.locator(field).input_value()
    page.locator(field).fill(typed)
    leave_by_signing_in_again(page)
    page.wait_for_url(f"**{path}")
    expect(page.locator(field)).to_have_value(before)
    page.get_by_role("button", name="Bring back what you typed").press("Enter")
    expect(page.locator(field)).to_have_value(typed)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(path)
    page.get_by_role("button", name="Forget it").click()
    page.reload()
    expect(page.locator(field)).to_have_value(before)
    expect(page.locator(".al-typing-kept")).to_have_count(0)


def test_a_letter_and_the_rules_of_a_segment_come_back_and_are_forgotten_once_saved(page: Page) -> None:
    page.goto("/admin/newsletters/issue/new/")
    page.get_by_role("link", name="Weekly letter").click()
    page.get_by_label("I do not know yet").check()
    page.get_by_role("button", name="Write it").click()
    page.wait_for_url(re.compile(r"/issue/\d+/change/"))
    draft = page.url
    page.get_by_label("Subject").fill("An hour of thought")
    leave_by_signing_in_again(page)
    page.wait_for_url(draft)
    page.get_by_role("button", name="Bring back what you typed").click()
    expect(page.get_by_label("Subject")).to_have_value("An hour of thought")
    look_at(page, "letter brought back")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".al-typing-kept")).to_have_count(0)
    expect(page.get_by_label("Subject")).to_have_value("An hour of thought")

    page.goto("/admin/newsletters/segment/add/")
    page.get_by_label("Name").fill("Kept rules")
    rule = page.get_by_role("group", name="Rule 1")
    rule.get_by_label("What rule 1 is about").select_option(label="Language")
    rule.get_by_label("Value").fill("de")
    leave_by_signing_in_again(page)
    page.wait_for_url("**/segment/add/")
    page.get_by_role("button", name="Bring back what you typed").click()
    expect(page.get_by_role("group", name="Rule 1").get_by_label("Value")).to_have_value("de")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/segment/\d+/change/|/segment/$"))
    page.goto("/admin/newsletters/segment/add/")
    expect(page.locator(".al-typing-kept")).to_have_count(0)


def test_somebody_else_in_the_same_tab_is_shown_nothing(page: Page) -> None:
    page.goto("/admin/cleanup/cleanuppolicy/1/change/")
    page.locator("[name=days]").fill("4321")
    page.wait_for_timeout(300)
    page.evaluate("""() => { for (const key of Object.keys(sessionStorage)) {
        sessionStorage.setItem(key, sessionStorage.getItem(key).replace(/"user":"[0-9]+"/, '"user":"999"')); } }""")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    expect(page.locator("[name=days]")).not_to_have_value("4321")
    expect(page.locator(".al-typing-kept")).to_have_count(0)
    assert page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('almanac-typing'))") == []
