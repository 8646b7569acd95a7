"""What staff do on their first day, by mouse and keyboard, on the house as ``make run`` starts it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, phone, too_wide
from tests.browser.conftest import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MINUTE = 75_000
"""Milliseconds to wait for something due in the next minute."""


def add_schedule(page: Page, what: str, name: str, pattern: str) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name="Schedules").first.click()
    page.goto("/admin/schedules/schedule/add/")
    page.locator("[name=what]").select_option(label=what)
    page.locator("[name=name]").fill(name)
    page.get_by_label("Advanced: a pattern").check()
    page.locator("[name=expression]").fill(pattern)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(re.compile(r"/admin/schedules/schedule/\d+/$"))


def wait_for_run(page: Page, word: str) -> None:
    """Reloads the schedule's page until its newest run shows the word."""
    for _ in range(40):
        if page.locator(".al-table .al-chip", has_text=word).count():
            return
        page.wait_for_timeout(2000)
        page.reload()
    raise AssertionError(f"no run said {word}: {page.inner_text('body')[:2000]}")


def test_a_schedule_fires_by_itself_within_two_minutes(page: Page) -> None:
    page.goto("/admin/")
    finished = page.locator("section", has=page.get_by_role("heading", name="Just finished"))
    expect(finished.get_by_role("link", name="Team memo, every two minutes").first).to_be_visible(timeout=130_000)


def test_a_newsletter_schedule_reaches_the_mailbox(page: Page, browser: Browser, house: House) -> None:
    add_schedule(page, "Weekly letter", "Letter to the city", "* * * * *")
    expect(page.get_by_text("Every minute").first).to_be_visible()
    wait_for_run(page, "Succeeded")
    schedule_url = page.url
    page.get_by_role("button", name="Pause Letter to the city").click()
    page.get_by_label("Why?").fill("One is enough for the walk")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#content .al-banner")).to_contain_text("One is enough for the walk")
    page.locator(".al-table a", has_text="Succeeded").first.click()
    expect(page.locator(".al-lead")).to_contain_text(re.compile(r"[\d,]+ sent"))
    sent = page.locator(".al-lead").inner_text().split()[0]  # 200, and whom another walk imported
    expect(page.get_by_text(f"{sent} of {sent} mails")).to_be_visible()
    assert int(sent.replace(",", "")) >= 200

    page.goto("/admin/mailbox/")
    page.locator("a.al-name", has_text="City news for").first.click()
    headers = page.locator("section", has=page.get_by_role("heading", name="Headers")).inner_text()
    assert "List-Unsubscribe-Post" in headers and "List-Unsubscribe=One-Click" in headers
    unsubscribe = re.search(r"<(http[^>]+)>", headers[headers.index("List-Unsubscribe") :])
    assert unsubscribe is not None
    assert page.frame_locator("iframe").locator("h1").inner_text().startswith("Good morning")

    reader = browser.new_context().new_page()  # somebody else's browser, not signed in
    reader.goto(unsubscribe[1])
    reader.get_by_role("button", name=re.compile("unsubscribe", re.IGNORECASE)).click()
    expect(reader.get_by_text(re.compile("unsubscribed|no longer", re.IGNORECASE)).first).to_be_visible()
    reader.context.close()
    page.goto(schedule_url)
    expect(page.get_by_text("One is enough for the walk").first).to_be_visible()


def test_a_report_is_run_now_and_downloaded(page: Page, tmp_path: Path) -> None:
    add_schedule(page, "Deliveries and subscribers, last week", "Weekly figures", "0 7 * * mon")
    page.get_by_role("button", name="Run now Weekly figures").click()
    page.get_by_role("button", name="Run now", exact=True).click()
    page.wait_for_url(re.compile(r"/admin/runs/run/\d+/change/"))
    button = page.get_by_role("link", name=re.compile("Download CSV"))
    expect(button).to_be_visible(timeout=30_000)  # the page shows it by itself
    with page.expect_download() as download:
        button.click()
    file = tmp_path / "report.csv"
    download.value.save_as(file)
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 8 and "," in lines[0]


def test_a_pause_is_recorded_and_resume_fires_nothing(page: Page) -> None:
    add_schedule(page, "Runs by schedule, yesterday", "Paused soon", "* * * * *")
    page.get_by_role("button", name="Pause Paused soon").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    assert page.locator("[name=reason]:invalid").count() == 1  # a reason is asked for
    page.get_by_label("Why?").fill("Waiting for the new logo")
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".al-banner")).to_contain_text("Waiting for the new logo")
    wait_for_run(page, "Skipped")
    expect(page.locator(".al-table")).to_contain_text("paused: Waiting for the new logo")
    page.get_by_role("button", name="Resume Paused soon").click()
    expect(page.get_by_text("left out during the pause")).to_be_visible()
    expect(page.get_by_label("Run nothing of what was due in the pause")).to_be_checked()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator(".al-head .al-chip").first).to_have_text("Active")
    expect(page.get_by_text("Nothing that fell into the pause was run.")).to_be_visible()
    page.wait_for_timeout(3000)
    page.reload()
    assert page.locator(".al-table .al-chip", has_text="Succeeded").count() == 0
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name=re.compile("Yes|Delete")).first.click()


def test_past_times_are_listed_and_then_run(page: Page) -> None:
    add_schedule(page, "Runs by schedule, yesterday", "Made up for", "0 7 * * *")
    page.get_by_role("link", name="Run past times").click()
    yesterday = date.today() - timedelta(days=1)
    page.get_by_label("From").fill(f"{yesterday - timedelta(days=1)}T00:00")
    page.get_by_label("To").fill(f"{yesterday}T12:00")
    page.get_by_role("button", name="List the due times").click()
    expect(page.get_by_role("heading", name="2 runs")).to_be_visible()
    page.get_by_role("button", name="Run them").click()
    expect(page.get_by_text("2 runs of “Made up for” started")).to_be_visible()
    for _ in range(20):
        page.reload()
        if page.locator(".al-table .al-chip", has_text="Succeeded").count() == 2:
            return
        page.wait_for_timeout(1500)
    raise AssertionError("the two runs did not succeed")


def test_a_holiday_is_seen_before_anything_is_saved(page: Page) -> None:
    page.goto("/admin/schedules/schedule/add/")
    preview = page.locator("#schedule-preview")
    page.get_by_label("Advanced: a pattern").check()
    page.locator("[name=expression]").fill("0 9 25 12 *")
    expect(preview).to_contain_text("Every year on 25 December at 09:00")
    page.locator("[name=calendar]").select_option(label="Germany")
    expect(preview).to_contain_text("Christmas Day")
    page.get_by_label("Run it on the next working day").check()
    expect(preview).to_contain_text("moved to")


def test_words_are_read_and_wrong_ones_are_explained_at_the_field(page: Page) -> None:
    page.goto("/admin/schedules/schedule/add/")
    preview = page.locator("#schedule-preview")
    page.locator("[name=words]").press_sequentially("first monday of the month 07:30")
    expect(preview).to_contain_text("On the first Monday of every month at 07:30")
    preview.get_by_role("button", name="Use this").press("Enter")
    expect(page.locator("[name=expression]")).to_have_value("30 7 * * 1#1")
    page.get_by_label("Advanced: a pattern").check()
    page.locator("[name=expression]").fill("0 25 * * *")
    expect(preview).to_contain_text("25 is not between 0 and 23")
    page.locator("[name=time_zone]").fill("Mars/Base")
    page.locator("[name=name]").fill("Wrong")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is not a time zone").first).to_be_visible()
    expect(page.locator("[name=name]")).to_have_value("Wrong")  # what was typed is not lost


PAGES = [
    "/admin/", "/admin/schedules/schedule/", "/admin/schedules/schedule/add/", "/admin/schedules/schedule/1/",
    "/admin/runs/run/", "/admin/mailbox/",
    "/admin/newsletters/newsletter/", "/admin/reports/reportdefinition/", "/admin/cleanup/cleanuppolicy/",
    "/admin/cleanup/cleanuppolicy/1/detail/", "/admin/schedules/schedule/1/backfill/",
    "/admin/schedules/holidaycalendar/", "/admin/schedules/holidaycalendar/1/change/", "/admin/runs/alert/",
]  # fmt: skip


def test_our_pages_have_no_serious_accessibility_fault(page: Page) -> None:
    assert faults_of(page, PAGES) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        assert too_wide(page, PAGES) == []
