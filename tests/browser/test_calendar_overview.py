"""The overview, the calendar with its feed, and the search, by mouse and by keyboard."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from icalendar import Calendar
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, phone, too_wide
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = [
    "/admin/", "/admin/calendar/", "/admin/calendar/week/", "/admin/calendar/feed/", "/admin/calendar/2026/1/1/",
]  # fmt: skip


def day_path(day: datetime) -> str:
    return f"/admin/calendar/{day.year}/{day.month}/{day.day}/"


def test_from_the_month_to_a_day_to_its_schedule_by_mouse(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name=re.compile("Calendar$")).click()
    table = page.get_by_role("table")
    expect(table.get_by_role("columnheader")).to_have_count(7)
    today = table.locator("[aria-current=date]")
    expect(today).to_contain_text("to come")
    today.click()
    expect(page).to_have_url(re.compile(r"/admin/calendar/\d+/\d+/\d+/$"))
    line = page.get_by_role("row").filter(has_text="Every 2 minutes")
    expect(line).to_contain_text("×")  # one line for hundreds of runs
    line.get_by_role("link", name="Team memo, every two minutes").click()
    expect(page).to_have_url(re.compile(r"/admin/schedules/schedule/\d+/$"))


def test_from_the_month_to_a_day_to_its_schedule_by_keyboard(page: Page) -> None:
    page.goto("/admin/calendar/")
    page.get_by_role("link", name=re.compile("^On to ")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="This month")).to_be_visible()
    month = page.get_by_role("table").locator("a")
    month.first.focus()
    page.keyboard.press("Tab")  # the second of the month
    expect(month.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    heading = page.locator(".al-cal-heading")
    expect(heading).to_contain_text(" 2 ")
    page.get_by_role("link", name="Tidy up, every night").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/schedules/schedule/\d+/$"))


def test_the_week_shows_numbers_by_the_hour_and_leads_to_the_day(page: Page) -> None:
    page.goto("/admin/calendar/")
    page.get_by_role("navigation", name="How much is shown").get_by_role("link", name="Week").click()
    rows = page.locator(".al-heat tbody tr")
    expect(rows).to_have_count(24)
    page.get_by_role("link", name=re.compile("^On to ")).click()
    expect(page.get_by_role("row", name=re.compile("^03:00"))).to_contain_text("31")  # two-minute memo and the tidying
    page.get_by_role("link", name="Cleanup", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("^03:00"))).not_to_contain_text("31")
    page.locator(".al-heat thead a").first.click()
    expect(page.get_by_text("Tidy up, every night")).to_be_visible()
    expect(page.get_by_text("Team memo, every two minutes")).to_have_count(0)  # still only cleanup
    page.goto("/admin/calendar/2026/1/1/")
    expect(page.get_by_text("A quiet day")).to_be_visible()


def fetch(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_a_private_feed_is_made_read_replaced_and_removed(page: Page) -> None:
    page.goto("/admin/calendar/")
    page.get_by_role("link", name="In your own calendar").click()
    page.get_by_role("button", name="Make my private address").press("Enter")
    first = page.get_by_label("Your private address").input_value()
    status, content = fetch(first)
    names = {str(event["SUMMARY"]) for event in Calendar.from_ical(content).walk("VEVENT")}
    assert status == 200 and any("Tidy up, every night" in name for name in names)
    assert any(name.startswith("Team memo, every two minutes ×") for name in names)
    page.get_by_role("button", name="Replace it").click()
    second = page.get_by_label("Your private address").input_value()
    assert (fetch(first)[0], fetch(second)[0]) == (404, 200)
    page.goto("/admin/calendar/feed/")
    expect(page.get_by_label("Your private address")).to_have_count(0)  # shown once only
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("You have no private address yet.")).to_be_visible()
    assert fetch(second)[0] == 404


def test_the_overview_counts_down_and_refreshes_while_somebody_looks(page: Page) -> None:
    page.goto("/admin/")
    countdown = page.locator(".al-verdict time")
    expect(countdown).to_have_text(re.compile(r"^(in .+ s|due now)$"))
    before = countdown.inner_text()
    expect(countdown).not_to_have_text(before)  # by itself, every second
    with page.expect_response(re.compile("/admin/overview/"), timeout=20_000):
        pass
    page.get_by_label("Refresh").select_option("0")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6000)
    assert asked == []
    page.get_by_label("Refresh").select_option("5")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.wait_for_timeout(6000)
    assert asked == []  # nobody looks
    page.reload()
    assert page.get_by_label("Refresh").input_value() == "5"


def test_the_charts_table_opens_by_keyboard_and_stays_open(page: Page) -> None:
    page.goto("/admin/")
    finished = page.locator("section", has=page.get_by_role("heading", name="Just finished"))
    expect(finished.get_by_role("link").first).to_be_visible(timeout=130_000)  # the house has run something
    page.reload()
    expect(page.get_by_role("img", name=re.compile("In 30 days .* succeeded"))).to_be_visible()
    page.locator(".al-twin summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".al-twin tbody tr")).to_have_count(30)
    with page.expect_response(re.compile("/admin/overview/"), timeout=20_000):
        pass
    expect(page.locator(".al-twin tbody tr").first).to_be_visible()
    page.locator(".al-twin tbody a").first.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/calendar/\d+/\d+/\d+/$"))


def test_everything_is_found_from_the_keyboard(page: Page) -> None:
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    box = page.locator("#search-input-command")
    expect(box).to_be_focused()
    box.press_sequentially("tidy up")
    found = page.locator("#command-results a")
    expect(found.first).to_contain_text("Tidy up, every night")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/admin/schedules/schedule/\d+/$"))
    page.get_by_role("button", name="Search").press("Enter")
    expect(box).to_be_focused()
    box.press_sequentially("calen")
    expect(found.first).to_contain_text("Calendar")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()


def test_these_pages_have_no_serious_accessibility_fault(page: Page) -> None:
    assert faults_of(page, [*PAGES, day_path(datetime.now(UTC)), day_path(datetime.now(UTC) + timedelta(days=1))]) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        assert too_wide(page, [*PAGES, day_path(datetime.now(UTC))]) == []
