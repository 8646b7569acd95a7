"""A query is written, tried and handed in by one person, with mouse and keyboard, and approved by another."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, is_too_wide, phone, press_until_focused, use_theme
from tests.browser.conftest import PASSWORD, House
from tests.integration.stack import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LIST = "/admin/reports/reportquery/"
SQL = "SELECT l.name AS list, count(*) AS readers FROM newsletters_subscription AS s\nJOIN newsletters_list AS l ON l.id = s.list_id\nWHERE s.state = :state GROUP BY l.name ORDER BY l.name"
MAKE = """
from django.contrib.auth.models import Permission, User
user, _ = User.objects.get_or_create(username="vera", defaults={"is_staff": True, "email": "vera@example.org"})
user.set_password("PASSWORD")
user.save()
user.user_permissions.set(Permission.objects.filter(codename__in=["view_reportquery", "approve_reportquery"]))
""".replace("PASSWORD", PASSWORD)


@pytest.fixture
def approver(browser: Browser, house: House) -> Iterator[Page]:
    """A window of somebody who may approve, and write nothing."""
    environment = {"DATA_DIR": str(house.data_dir), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "manage.py", "shell", "-c", MAKE], cwd=ROOT, env=environment, check=True)
    errors: list[str] = []
    with browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto("/admin/login/")
        page.fill("[name=username]", "vera")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_url(re.compile(r"/admin/$"))
        yield page
    assert errors == []


def test_from_the_first_word_to_the_approval(page: Page, approver: Page, browser: Browser, house: House) -> None:
    url = write_and_hand_in(page)
    approve(approver, url)
    page.goto(url)
    expect(page.get_by_text("Approved by vera")).to_be_visible()
    change_and_compare(page)
    for theme in ("light", "dark"):
        use_theme(page, theme)
        page.goto(url)
        page.get_by_role("button", name="Try it").click()
        expect(page.locator("#tried-rows table")).to_be_visible()
        assert faults(page) == []
    with phone(browser, house) as small:
        for path in (LIST, f"{LIST}add/", url):
            small.goto(path)
            assert not is_too_wide(small), path


def write_and_hand_in(page: Page) -> str:
    """Without a mouse. Returns the address of the query's page."""
    page.goto(LIST)
    expect(page.get_by_text("a second person approves each text")).to_be_visible()
    page.goto(f"{LIST}add/")
    page.get_by_label("Name", exact=True).fill("Readers by list")
    page.get_by_label("SQL", exact=True).fill(SQL)
    press_until_focused(page, "Try it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text=":state, which is not among the parameters")).to_be_visible()
    page.get_by_label("Name", exact=True).focus()
    press_until_focused(page, "Add a parameter")
    page.keyboard.press("Enter")
    expect(page.locator("[name=p0-name]")).to_be_focused()
    page.keyboard.type("state")
    page.locator("[name=p0-kind]").select_option("choice")
    page.locator("[name=p0-choices]").fill("confirmed, pending")
    press_until_focused(page, "Add a parameter")
    page.keyboard.press("Enter")
    expect(page.locator("[name=p1-name]")).to_be_focused()
    page.get_by_role("button", name="Remove Parameter 2").press("Enter")
    expect(page.locator("[name=p1-name]")).to_have_count(0)
    expect(page.get_by_role("button", name="Add a parameter")).to_be_focused()
    press_until_focused(page, "Try it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="needs a value")).to_be_visible()
    page.get_by_label("state", exact=True).select_option("confirmed")
    page.get_by_role("button", name="Try it").press("Enter")
    expect(page.get_by_role("status").filter(has_text=re.compile(r"2 rows, 2 columns, in"))).to_be_visible()
    expect(page.get_by_role("button", name="Try it")).to_be_focused()
    expect(page.locator("#tried-rows")).to_contain_text("City news")
    press_until_focused(page, "Save and ask for approval")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Handed in. 1 person has been told.")).to_be_visible()
    expect(page.get_by_text("You wrote this text, or a part of it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve…")).to_have_count(0)
    return page.url


def approve(page: Page, url: str) -> None:
    """By another person, in a dialog."""
    page.goto(url)
    page.get_by_label("state", exact=True).select_option("confirmed")
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_role("status").filter(has_text="2 rows, 2 columns, in")).to_be_visible()
    assert faults(page) == []
    press_until_focused(page, "Send back…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("What is to be changed?")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send back…")).to_be_focused()
    page.get_by_role("button", name="Approve…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("GROUP BY l.name")
    assert faults(page, context="dialog") == []
    dialog.get_by_label("A word to the writer (if you like)").fill("Good")
    dialog.get_by_role("button", name="Approve this text").click()
    expect(page.get_by_text("Approved. Reports can list it from now on.")).to_be_visible()


def change_and_compare(page: Page) -> None:
    """What was approved goes on; the page shows what is new."""
    page.get_by_label("SQL", exact=True).fill(SQL.replace("count(*)", "count(DISTINCT s.subscriber_id)"))
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_text("Reports go on with the text that was approved before").first).to_be_visible()
    expect(page.get_by_role("list", name="Changes of the SQL")).to_contain_text(
        "added: +SELECT l.name AS list, count(DISTINCT"
    )
    page.get_by_text("The text that reports run").click()
    expect(page.get_by_role("region", name="The text that reports run")).to_contain_text("count(*)")
