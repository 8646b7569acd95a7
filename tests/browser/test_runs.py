"""Runs, workers and queues by mouse and keyboard, with real jobs of a real house."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults_of, phone, too_wide
from tests.browser.conftest import House
from tests.integration.stack import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FAILING = """
from cleanup.models import CleanupPolicy
CleanupPolicy.objects.update(is_enabled=False)
"""
SLOW = """
from newsletters.models import Newsletter
Newsletter.objects.filter(name="Weekly letter").update(rate=60, rate_per="minute")
"""


def in_house(house: House, code: str) -> str:
    """What the code prints, run where the house keeps its data."""
    dropped = ("BROKER_URL", "EMAIL_URL", "PUBLIC_URL", "DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment["DATA_DIR"] = str(house.data_dir)
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def start(house: House, schedule: str, before: str) -> str:
    """Runs a demo schedule now; the address of its run."""
    code = f"""{before}
from schedules import services
from schedules.models import Schedule
print(services.run_now(None, Schedule.objects.get(periodic_task__name={schedule!r}).pk).pk)
"""
    return f"/admin/runs/run/{in_house(house, code)}/change/"


def chip(page: Page) -> str:
    return page.locator("#run-live .al-head .al-chip").first.inner_text()


@pytest.mark.usefixtures("left_as_found")
def test_a_failure_is_read_run_again_and_acknowledged_with_the_keyboard(page: Page, house: House) -> None:
    address = start(house, "Tidy up, every night", FAILING)
    page.goto(address)
    expect(page.locator("#run-live .al-head .al-chip").first).to_have_text("Failed", timeout=30_000)  # by itself
    expect(page.get_by_role("group", name="The error")).to_contain_text("Preview it and enable it first")
    expect(page.locator("#traceback pre")).to_be_hidden()
    page.locator("#traceback summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#traceback pre")).to_be_visible()
    page.get_by_role("button", name="Run again").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is the new run")).to_be_visible()
    page.locator("#retry-of").click()
    expect(page).to_have_url(re.compile(address))
    expect(page.locator("#newest-retry")).to_be_visible()
    page.get_by_role("button", name="Acknowledge").press("Enter")
    expect(page.get_by_text("Noted. It no longer asks for attention")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)

    page.goto("/admin/runs/run/")
    page.get_by_role("navigation", name="State").get_by_role("link", name="Failed").click()
    page.get_by_label("Due from").fill(f"{date.today():%Y-%m-%d}")
    page.get_by_label("Name contains").fill("tidy")
    page.get_by_label("Name contains").press("Enter")
    rows = page.locator(".al-runs tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("Acknowledged")
    rows.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Acknowledge the chosen").click()
    expect(page.get_by_text("1 run noted")).to_be_visible()
    expect(page.get_by_label("Name contains")).to_have_value("tidy")


@pytest.mark.usefixtures("left_as_found")
def test_a_long_run_is_followed_filtered_and_cancelled(page: Page, house: House) -> None:
    address = start(house, "Weekly letter, Mondays at nine", SLOW)
    page.goto(address)
    expect(page.get_by_text(re.compile(r"of \d+ mails · \d+ a minute · about \d min left"))).to_be_visible(
        timeout=30_000
    )
    shown = page.locator("#run-live progress").get_attribute("value")
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    run = re.search(r"\d+", address)
    assert run is not None
    assert in_house(house, f"from runs import ledger\nledger.log({run[0]}, 'Halfway', level='warning')") == ""
    expect(page.locator("#log-lines")).to_contain_text("Warning Halfway")
    assert page.locator("#run-live progress").get_attribute("value") != shown, "it goes on while one watches"
    expect(cancel).to_be_focused()  # and nobody's place is lost
    page.get_by_label("Lines that contain").fill("nothing of the kind")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#log-lines")).to_contain_text("No line matches yet")
    page.get_by_label("Which lines").select_option("Warnings and errors")
    page.get_by_label("Lines that contain").fill("")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#log-lines li:visible")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the log").click()
    assert "warning Halfway" in download.value.path().read_text()

    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.locator("#run-live .al-head .al-chip").first).to_have_text("Cancelled", timeout=30_000)  # by itself
    expect(page.locator("#run-live")).to_contain_text("What was finished by then stays done")


def test_a_queue_is_paused_with_a_reason_and_resumed(page: Page, house: House) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name="Workers and queues").click()
    row = page.locator(".al-queues tr", has=page.get_by_text("reports", exact=True))
    expect(row).to_contain_text("Well")
    row.get_by_role("link", name="Pause").press("Enter")
    page.get_by_role("button", name="Pause the queue").press("Enter")
    assert page.locator("[name=reason]:invalid").count() == 1  # a reason is asked for
    page.get_by_label("Why?").fill("The disk is full")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Paused by admin")
    expect(row).to_contain_text("The disk is full")

    page.goto(start(house, "Deliveries and subscribers, every Monday", ""))
    expect(page.locator("#run-live")).to_contain_text("The queue “reports” was paused by admin", timeout=30_000)
    page.get_by_role("link", name="Look at the workers").click()
    expect(row.get_by_role("link", name="1 waiting in reports")).to_be_visible(timeout=30_000)
    row.get_by_role("button", name="Resume").press("Enter")
    expect(row).to_contain_text("Well")
    expect(row.get_by_role("link", name="0 waiting in reports")).to_be_visible(timeout=70_000)  # the page by itself


def test_the_pages_have_no_serious_accessibility_fault(page: Page, house: House) -> None:
    assert faults_of(page, _pages(house)) == []


def test_nothing_overflows_on_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        assert too_wide(page, _pages(house)) == []


def _pages(house: House) -> list[str]:
    """The lists, and one run of each state that the walks left behind."""
    code = """
from runs.models import Run
newest = {}
for run in Run.objects.order_by("pk"):
    newest[run.state] = run.pk
print(*newest.values())
"""
    runs = [f"/admin/runs/run/{number}/change/" for number in in_house(house, code).split()]
    return [
        "/admin/runs/run/",
        "/admin/runs/run/?since=2026-13-13",
        "/admin/queues/",
        "/admin/queues/default/pause/",
        *runs,
    ]
