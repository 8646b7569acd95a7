"""Readers in front of a browser without JavaScript: from the sign-up to leaving, by mouse and by keyboard."""

from __future__ import annotations

import email
import email.policy
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.checks import faults, is_too_wide
from tests.browser.conftest import House

pytestmark = pytest.mark.browser


@pytest.fixture
def reader(browser: Browser, house: House) -> Iterator[Page]:
    """Somebody on a phone who has switched scripts off."""
    context = browser.new_context(
        base_url=house.url, viewport={"width": 390, "height": 844}, java_script_enabled=False, color_scheme="light"
    )
    yield context.new_page()
    assert context.cookies() == []
    context.close()


def mailed_link(house: House, address: str, kind: str) -> str:
    """The newest link of this kind that was mailed to the address, once it has arrived."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in sorted((house.data_dir / "mailbox").rglob("*"), key=_age):
            found = _link(path, address, kind)
            if found:
                return found
        time.sleep(0.3)
    raise AssertionError(f"no mail with a link to {kind} came to {address}")


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _link(path: Path, address: str, kind: str) -> str:
    if not path.is_file():
        return ""
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    if address not in str(mail["To"]):
        return ""
    body = mail.get_body(("plain",))
    found = re.search(rf"http://[^/\s]+(/{kind}/\S+)", str(body.get_content()) if body is not None else "")
    return found.group(1) if found else ""


def axe_faults(context: BrowserContext, path: str) -> list[object]:
    page = context.new_page()
    page.goto(path)
    found = Axe().run(page).response["violations"]
    wide = [(path, "too wide")] if is_too_wide(page) else []
    page.close()
    return [
        *wide,
        *(
            (path, one["id"], one["nodes"][0]["html"][:160])
            for one in found
            if one["impact"] in ("critical", "serious")
        ),
    ]


def test_a_reader_signs_up_changes_their_mind_and_leaves(reader: Page, house: House, browser: Browser) -> None:
    address = "walker@example.org"
    reader.goto("/subscribe/")
    reader.get_by_role("button", name="Subscribe").click()
    assert "Please look at the marked lines." in reader.get_by_role("alert").first.inner_text()
    reader.goto("/subscribe/")
    time.sleep(2)  # as people do
    reader.get_by_label("Your e-mail address").fill(address)
    box = reader.get_by_role("checkbox", name="City news")
    box.focus()
    if not box.is_checked():
        reader.keyboard.press("Space")
    reader.get_by_label("Your name").focus()
    reader.keyboard.type("Walker")
    reader.keyboard.press("Enter")
    reader.get_by_role("heading", name="Look into your mailbox").wait_for()

    reader.goto(mailed_link(house, address, "confirm"))
    reader.get_by_role("button", name="Confirm").press("Enter")
    reader.get_by_role("heading", name="Welcome").wait_for()

    reader.get_by_role("link", name="your own page").click()
    own_page = reader.url
    reader.get_by_label("Your name").fill("Walker the Second")
    reader.get_by_role("button", name="Save").click()
    assert reader.get_by_role("status").inner_text() == "Saved."
    assert reader.get_by_label("Your name").input_value() == "Walker the Second"

    reader.get_by_role("button", name="Leave everything").click()
    assert "off every list" in reader.get_by_role("status").inner_text()
    assert not reader.get_by_role("checkbox", name="City news").is_checked()

    context = browser.new_context(base_url=house.url, viewport={"width": 390, "height": 844})
    paths = [
        own_page.removeprefix(house.url),
        "/subscribe/",
        "/feedback/",
        "/preferences/",
        "/archive/",
        "/preferences/x/",
    ]
    found = [fault for path in paths for fault in axe_faults(context, path)]
    context.close()
    dark = browser.new_context(base_url=house.url, viewport={"width": 1280, "height": 900}, color_scheme="dark")
    found += [fault for path in paths for fault in axe_faults(dark, path)]
    dark.close()
    assert found == []


def test_staff_copy_the_form_and_it_works_on_another_website(page: Page, house: House, tmp_path: Path) -> None:
    page.goto("/admin/sign-up-form/")
    assert faults(page) == []
    source = page.get_by_label("HTML to copy").input_value()
    (tmp_path / "club.html").write_text(f"<!doctype html><title>Club</title>{source}")
    foreign = page.context.browser.new_page()  # type: ignore[union-attr]
    foreign.goto((tmp_path / "club.html").as_uri())
    foreign.get_by_label("Your e-mail address").fill("club@example.org")
    boxes = foreign.get_by_role("checkbox")
    for number in range(boxes.count()):
        boxes.nth(number).check()
    foreign.get_by_role("button", name="Subscribe").click()
    foreign.get_by_role("heading", name="Look into your mailbox").wait_for()
    foreign.close()
    assert mailed_link(house, "club@example.org", "confirm")
