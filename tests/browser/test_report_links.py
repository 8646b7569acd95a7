"""A report on its way outside: run by hand, mailed, taken by somebody without an account, resumed, taken back, left."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults
from tests.browser.conftest import House
from tests.browser.test_readers import axe_faults, mailed_link

pytestmark = pytest.mark.browser
KIM = "kim@partner.example"


def mail_it_to(house: House, address: str) -> None:
    with closing(sqlite3.connect(house.data_dir / "almanac.sqlite3", timeout=30)) as database, database:
        (number,) = database.execute(
            "SELECT id FROM reports_reportdefinition WHERE name LIKE 'Deliveries and subscribers%'"
        ).fetchone()
        database.execute(
            "INSERT INTO reports_reportrecipient (definition_id, address) VALUES (?, ?)", (number, address)
        )


def report_of_link(house: House) -> int:
    with closing(sqlite3.connect(house.data_dir / "almanac.sqlite3", timeout=30)) as database:
        return int(
            database.execute("SELECT max(report_run_id) FROM reports_sharelink WHERE address = ?", (KIM,)).fetchone()[0]
        )


def test_a_report_reaches_somebody_outside_until_the_link_is_taken_back(
    page: Page, house: House, browser: Browser, tmp_path: Path
) -> None:
    mail_it_to(house, KIM)
    page.goto("/admin/schedules/schedule/")
    page.get_by_role("link", name="Deliveries and subscribers, every Monday").first.click()
    page.get_by_role("button", name="Run now").first.click()
    asked = page.get_by_role("dialog")
    tell_me = asked.get_by_role("checkbox", name="Tell me here when it is ready")
    expect(tell_me).to_be_checked()
    assert faults(page, context="dialog") == []
    tell_me.press("Space")
    asked.get_by_role("button", name="Run now").press("Enter")
    path = mailed_link(house, KIM, "reports/get")
    for theme, width in (("light", 1280), ("dark", 390)):
        options = {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
        with browser.new_context(base_url=house.url, **options) as window:  # type: ignore[arg-type]
            pages = (path, mailed_link(house, KIM, "reports/leave"), "/reports/get/never-was/")
            assert [fault for one in pages for fault in axe_faults(window, one)] == []

    with browser.new_context(
        base_url=house.url, java_script_enabled=False, accept_downloads=True, viewport={"width": 390, "height": 844}
    ) as window:
        guest = window.new_page()
        guest.goto(path)
        expect(guest.get_by_role("heading", name="Deliveries and subscribers, last week")).to_be_visible()
        guest.keyboard.press("Tab")
        with guest.expect_download() as started:
            guest.keyboard.press("Enter")
        whole = Path(started.value.path()).read_bytes()
        assert whole.startswith(b"\xef\xbb\xbfDay,") and started.value.suggested_filename.endswith(".csv")
        assert window.cookies() == []

        broken = tmp_path / "broken.csv"
        broken.write_bytes(whole[: len(whole) // 3])
        command = ["curl", "--silent", "--fail", "--continue-at", "-", "--output", str(broken), started.value.url]
        subprocess.run(command, check=True, timeout=30)
        assert broken.read_bytes() == whole, "a broken download goes on where it stopped"

        page.goto("/admin/")
        expect(page.get_by_text("“Deliveries and subscribers, last week” is ready")).to_have_count(0)
        page.goto(f"/admin/reports/reportrun/{report_of_link(house)}/")
        assert faults(page) == []
        page.get_by_role("button", name=f"Take back the link of {KIM}").first.press("Enter")
        expect(page.get_by_text(f"The link of {KIM} opens nothing any more.")).to_be_visible()
        assert subprocess.run(command, timeout=30).returncode != 0, "nor does a download go on"
        guest.reload()
        expect(guest.get_by_role("heading", name="There is nothing at this address")).to_be_visible()


def test_somebody_outside_leaves(house: House, browser: Browser) -> None:
    with browser.new_context(base_url=house.url, java_script_enabled=False) as window:
        guest = window.new_page()
        guest.goto(mailed_link(house, KIM, "reports/leave"))
        guest.keyboard.press("Tab")
        guest.keyboard.press("Enter")
        expect(guest.get_by_role("status")).to_contain_text(f"is no longer mailed to {KIM}")
