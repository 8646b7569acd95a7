"""A report from its run to its end: watched, found in the library, downloaded and resumed, kept longer, made again, deleted."""

from __future__ import annotations

import hashlib
import re
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, faults_of, phone, press_until_focused, too_wide
from tests.browser.conftest import House
from tests.browser.test_runs import in_house

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIBRARY = "/admin/reports/artefact/"
# Enough rows for a file that can break off in the middle.
DEFINE = """
from datetime import date
from django.contrib.auth.models import User
from reports.models import ReportDefinition
from runs.models import AuditEntry
from schedules import services
from schedules.drafts import ScheduleDraft
boss = User.objects.get(username="admin")
AuditEntry.objects.bulk_create(AuditEntry(actor_name="Anna", action="changed it", reason="x" * 200) for _ in range(3000))
report = ReportDefinition.objects.create(
    name="Who did what", data_set="activity", period="fixed", fixed_first=date(2020, 1, 1), fixed_last=date(2029, 12, 31),
    time_zone="Europe/Berlin", owner=boss,
)
draft = ScheduleDraft.for_kind("report", name="Who did what, monthly", target_id=report.pk, expression="0 7 1 * *")
print(services.create_schedule(boss, draft).pk)
"""


def shown_chip(page: Page) -> str:
    return page.locator("#content .al-head .al-chip").first.inner_text()


@pytest.fixture(scope="module")
def schedule(house: House) -> str:
    return f"/admin/schedules/schedule/{in_house(house, DEFINE)}/"


def test_a_report_is_run_watched_and_found_in_the_library(page: Page, schedule: str) -> None:
    page.goto(LIBRARY)
    page.get_by_role("link", name="Mine").click()
    expect(page.get_by_role("heading", name="None of your reports yet")).to_be_visible()
    page.goto(schedule)
    page.get_by_role("button", name="Run now").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Run now").click()
    page.wait_for_url(re.compile(r"/admin/runs/run/\d+/"))
    expect(page.locator("#run-live .al-head .al-chip").first).to_have_text("Succeeded", timeout=60_000)  # by itself
    page.get_by_role("link", name="Open the report").click()
    expect(page.get_by_role("heading", name=re.compile(r"The first 50 of 3,\d+ rows"))).to_be_visible()
    expect(page.locator(".rl-rows tbody tr")).to_have_count(50)

    page.get_by_role("link", name="Report library").click()
    page.get_by_role("link", name="Mine").press("Enter")
    page.get_by_label("Name contains").fill("who did")
    page.keyboard.press("Enter")
    row = page.locator(".rl-table tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("For 90 days")
    press_until_focused(page, "Who did what", role="link")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/admin/reports/reportrun/\d+/$"))
    page.locator("#to-run").click()
    page.wait_for_url(re.compile(r"/admin/runs/run/\d+/"))


def test_a_download_that_broke_off_is_resumed_with_curl(
    page: Page, house: House, schedule: str, tmp_path: Path
) -> None:
    page.goto(f"{LIBRARY}?name=who+did")
    page.get_by_role("link", name="Who did what", exact=True).click()
    summary = page.locator(".rl-list summary").first
    summary.press("Enter")
    fingerprint = page.locator(".rl-code").first.inner_text()
    with page.expect_download() as download:
        page.locator("[id^=download-]").first.press("Enter")
    whole = Path(download.value.path()).read_bytes()
    assert hashlib.sha256(whole).hexdigest() == fingerprint
    assert download.value.suggested_filename == "who-did-what_2020-01-01_to_2029-12-31.csv"

    address = house.url + str(page.locator("[id^=download-]").first.get_attribute("href"))
    cookies = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    file = tmp_path / "report.csv"
    file.write_bytes(whole[:100_001])  # where the connection broke
    command = [
        "curl",
        "--silent",
        "--show-error",
        "--fail",
        "-C",
        "-",
        "-H",
        f"Cookie: {cookies}",
        "-o",
        str(file),
        address,
    ]
    subprocess.run(command, check=True, timeout=60)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == fingerprint
    page.reload()
    expect(page.locator(".rl-list")).to_contain_text("Downloaded 2 times")


def test_it_is_kept_longer_made_again_and_deleted_with_the_keyboard(page: Page, schedule: str) -> None:
    page.goto(f"{LIBRARY}?name=who+did")
    page.get_by_role("link", name="Who did what", exact=True).click()
    first = page.url
    press_until_focused(page, "Keep longer…")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Keep “Who did what” longer")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Keep longer…")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_label("Keep them until").fill("2020-01-01")
    dialog.get_by_role("button", name="Keep them").press("Enter")
    expect(dialog).to_contain_text("That day has passed")
    later = date.today() + timedelta(days=400)
    dialog.get_by_label("Keep them until").fill(later.isoformat())
    dialog.get_by_role("button", name="Keep them").press("Enter")
    expect(page.get_by_text("Its files are kept until")).to_be_visible()
    expect(page.locator("#content")).to_contain_text("Kept for 401 days")

    page.get_by_role("button", name="Make again").press("Enter")
    expect(page.get_by_text("This is the new report")).to_be_visible()
    assert page.url != first
    expect(page.locator("#content .al-head .al-chip").first).to_have_text("Complete", timeout=60_000)  # by itself
    expect(page.locator(".al-facts")).to_contain_text("Made again for the days of")
    page.locator("#again-of").click()
    page.wait_for_url(first)
    expect(page.get_by_text("It was made again")).to_be_visible()

    page.get_by_role("button", name="Delete files…").press("Enter")
    dialog.get_by_label("Why?").fill("The numbers were wrong")
    assert faults(page, context="dialog") == []
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 file deleted. The record of the report stays.")).to_be_visible()
    expect(page.locator(".rl-list")).to_contain_text("The numbers were wrong")
    expect(page.get_by_role("button", name="Delete files…")).to_have_count(0)
    page.get_by_role("link", name="Report library").click()
    expect(page.locator(".rl-table")).to_contain_text("Why: The numbers were wrong")


def test_the_pages_are_good_for_everybody(page: Page, schedule: str) -> None:
    page.goto(LIBRARY)
    reports = [str(link.get_attribute("href")) for link in page.locator(".rl-table a.al-name").all()]
    assert len(reports) >= 2
    assert faults_of(page, [LIBRARY, f"{LIBRARY}?name=nothing+of+the+kind", *reports]) == []


def test_the_pages_fit_a_phone(browser: Browser, house: House, schedule: str) -> None:
    with phone(browser, house) as page:
        page.goto(LIBRARY)
        reports = [str(link.get_attribute("href")) for link in page.locator(".rl-table a.al-name").all()]
        assert too_wide(page, [LIBRARY, *reports]) == []
