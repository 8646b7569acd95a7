"""An issue from its due time to its end: written and released by keyboard alone, sent, paused, slowed down, cancelled."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.checks import faults, is_too_wide, press_until_focused, use_theme

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LIST = "/admin/newsletters/issue/"


def open_newsletter(page: Page) -> None:
    page.goto("/admin/newsletters/newsletter/")
    page.get_by_role("link", name="Weekly letter").first.click()
    expect(page.get_by_role("heading", name="Next issues")).to_be_visible()


def test_the_next_issue_is_written_released_taken_back_and_deleted_by_keyboard_alone(page: Page) -> None:
    open_newsletter(page)
    write = page.get_by_role("link", name=re.compile("Write this issue")).first
    write.focus()
    page.keyboard.press("Enter")
    press_until_focused(page, "Write it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("If nobody releases it by")).to_be_visible()
    expect(page.get_by_text("readers of City news")).to_be_visible()  # counted after the page has come
    subject = page.get_by_label("Subject")
    subject.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("Only this Monday")
    press_until_focused(page, "Save and release")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Released. It goes out on")).to_be_visible()
    expect(page.locator(".al-chip", has_text="Scheduled")).to_be_visible()
    assert faults(page) == []
    press_until_focused(page, "Take it back")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Taken back. It is a draft again")).to_be_visible()
    press_until_focused(page, "Delete…")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("usual text goes out instead")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete…")).to_be_focused()
    page.keyboard.press("Enter")
    press_until_focused(page, "Delete it")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"{LIST}$"))
    expect(page.get_by_text("Deleted.")).to_be_visible()


@pytest.mark.usefixtures("left_as_found")
def test_an_issue_is_sent_watched_paused_slowed_down_and_cancelled(page: Page) -> None:
    open_newsletter(page)
    page.fill("#id_rate", "1")
    page.select_option("#id_rate_per", "second")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{LIST}new/")
    page.get_by_role("link", name="Weekly letter").click()
    expect(page.get_by_label("Its own time")).to_be_hidden()
    page.get_by_label("At a time of its own").check()
    expect(page.get_by_label("Its own time")).to_be_visible()
    page.get_by_label("I do not know yet").check()
    page.get_by_role("button", name="Write it").click()
    page.get_by_label("Subject").fill("Watched while it goes")
    page.get_by_role("button", name="Save and send now…").click()
    told = page.get_by_text(re.compile(r"It goes to \d+ recipients of City news, at once\.")).inner_text()
    page.get_by_role("button", name=f"Send to {told.split()[3]} now").click()
    expect(page.locator("#issue-live .al-chip", has_text="Being sent")).to_be_visible(timeout=30_000)
    page.get_by_label("At most").fill("2")
    page.get_by_role("button", name="Change the speed").click()
    expect(page.get_by_text("At most 2 mails per second from now on.")).to_be_visible()
    expect(page.locator("#count-sent")).not_to_have_text("0", timeout=20_000)  # without a click of ours
    use_theme(page, "dark")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused by admin.")).to_be_visible()
    assert faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert not is_too_wide(page)
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#issue-live .al-chip", has_text="Being sent")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("dialog")).to_contain_text("will not get it.")
    page.get_by_role("button", name="Cancel it for good").click()
    expect(page.get_by_text("Cancelled. Nobody else gets this issue.")).to_be_visible()
    page.locator("#count-sent").click()
    expect(page.get_by_role("table")).to_contain_text("@")
    assert not is_too_wide(page)
    assert faults(page) == []


def test_choosing_a_source_shows_what_belongs_to_it_and_the_lists_stay_as_they_are(page: Page) -> None:
    open_newsletter(page)
    assert page.locator("#id_lists input:checked").count() == 1
    expect(page.get_by_label("Address of the feed")).to_be_hidden()
    page.locator("#id_source").select_option("feed")
    expect(page.get_by_label("Address of the feed")).to_be_visible()
    assert faults(page) == []
    page.goto(f"{LIST}?shown=sent")
    assert faults(page) == []
