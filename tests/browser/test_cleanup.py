"""Cleaning up without fear: preview, enable, run, archive, put back, hold; by mouse and by keyboard."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, faults_of, is_too_wide, phone, press_until_focused, too_wide, use_theme
from tests.browser.conftest import House
from tests.integration.stack import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ADD = "/admin/cleanup/cleanuppolicy/add/"
NAME = "Sessions, walked through"


@pytest.fixture(scope="module")
def old_sessions(house: House) -> int:
    """Sessions that expired half a year ago; nobody is signed in by them."""
    long_ago = datetime.now(UTC) - timedelta(days=180)
    rows = [(f"walk{n}", "", (long_ago - timedelta(days=n)).strftime("%Y-%m-%d %H:%M:%S")) for n in range(31)]
    with closing(sqlite3.connect(house.data_dir / "almanac.sqlite3", timeout=30)) as database, database:
        database.executemany(
            "INSERT INTO django_session (session_key, session_data, expire_date) VALUES (?, ?, ?)", rows
        )
    return len(rows)


def left(house: House) -> int:
    with closing(sqlite3.connect(house.data_dir / "almanac.sqlite3", timeout=30)) as database:
        found = database.execute("SELECT count(*) FROM django_session WHERE session_key LIKE 'walk%'").fetchone()
        return int(found[0])


def restore(house: House, run: str) -> str:
    """What the page tells an administrator to run."""
    done = subprocess.run(
        [sys.executable, "manage.py", "restore_archive", run],
        cwd=ROOT, env={**os.environ, "DATA_DIR": str(house.data_dir)}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_from_preview_to_restore_and_hold(page: Page, house: House, old_sessions: int) -> None:
    # By keyboard: a hold first, so that one row stays.
    page.goto("/admin/cleanup/hold/add/")
    page.get_by_label("What to keep").select_option("sessions:row")
    page.get_by_label("Which one").fill("walk3")
    page.get_by_label("Why").focus()
    page.keyboard.type("A court asks")
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_contain_text("number walk3: A court asks")

    # The form counts while it is filled in.
    page.goto(ADD)
    live = page.locator("#cleanup-preview")
    expect(live).to_contain_text("Tick what to clean")
    page.locator("[name=name]").focus()
    page.keyboard.type(NAME)
    page.get_by_label("Older than (days)").fill("0")
    press_until_focused(page, "Expired sign-in sessions", role="checkbox")
    page.keyboard.press("Space")
    expect(live).to_contain_text("0 days would delete what was made a moment ago")
    page.get_by_label("Older than (days)").fill("100")
    expect(live).to_contain_text(f"It would delete {old_sessions - 1} rows now")
    expect(live).to_contain_text("1 is old enough and stays")
    page.get_by_label("An archive of JSON lines").check()
    page.get_by_role("button", name="Save", exact=True).last.click()

    # Preview, enable and run.
    expect(page.get_by_role("heading", name="Before it deletes anything")).to_be_visible()
    expect(page.get_by_role("button", name="Switch on")).to_be_disabled()
    press_until_focused(page, "Preview")
    page.keyboard.press("Enter")
    expect(page.locator("#preview")).to_contain_text(f"{old_sessions - 1} rows older than 100 days")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator(".cl-sentence")).to_contain_text("It is on no schedule")
    page.get_by_role("link", name="Add a schedule").click()
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_role("button", name="Run now").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("An archive of them is kept")
    dialog.get_by_role("button", name=re.compile("Run")).click()

    # The run's page follows it, and leads to what it deleted.
    page.get_by_role("link", name=re.compile("What it deleted")).click(timeout=30_000)
    expect(page.locator(".al-lead")).to_have_text(f"{old_sessions - 1} rows deleted")
    expect(page.get_by_text("1 stayed because of a hold")).to_be_visible()
    assert left(house) == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Download part 1").click()
    assert download.value.suggested_filename.endswith("part-1.jsonl.gz")
    command = page.locator(".cl-code", has_text="restore_archive").inner_text()
    number = command.split()[3]
    assert f"{old_sessions - 1:,} of" in restore(house, number) and left(house) == old_sessions

    # The hold is released by mouse.
    page.goto("/admin/cleanup/hold/")
    page.get_by_role("link", name=re.compile("Release… .*walk3")).click()
    page.get_by_role("button", name="Release it").click()
    expect(page.locator("body")).to_contain_text("The hold is released")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_have_no_serious_accessibility_fault(page: Page, theme: str, old_sessions: int) -> None:
    use_theme(page, theme)
    page.goto("/admin/cleanup/cleanuppolicy/1/change/")
    expect(page.locator("#cleanup-preview")).to_contain_text("It would delete")
    page.get_by_text("Limits (good as they are)").click()
    assert faults(page) == []
    page.goto("/admin/cleanup/cleanuppolicy/1/detail/")
    page.get_by_role("button", name=re.compile("^Preview")).first.click()
    expect(page.locator("#preview")).to_contain_text("older than")
    assert faults(page) == []
    runs = ["/admin/cleanup/cleanuppolicy/run/1/"] if page.goto("/admin/cleanup/cleanuppolicy/run/1/").ok else []  # type: ignore[union-attr]
    assert (
        faults_of(
            page, [*runs, "/admin/cleanup/cleanuppolicy/", "/admin/cleanup/hold/add/", "/admin/cleanup/archivepart/"]
        )
        == []
    )


def test_the_pages_fit_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        page.goto("/admin/cleanup/cleanuppolicy/1/change/")
        expect(page.locator("#cleanup-preview")).to_contain_text("It would delete")
        page.get_by_text("Limits (good as they are)").click()
        assert not is_too_wide(page)
        lists = [
            "/admin/cleanup/cleanuppolicy/",
            "/admin/cleanup/hold/",
            "/admin/cleanup/hold/add/",
            "/admin/cleanup/archivepart/",
        ]
        assert too_wide(page, ["/admin/cleanup/cleanuppolicy/1/detail/", *lists]) == []
