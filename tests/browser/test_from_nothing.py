"""From an empty house to an issue that a reader got and left: what an office does on its first day."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.checks import faults, press_until_focused
from tests.browser.conftest import House, started

pytestmark = pytest.mark.browser
READER = "first@example.org"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with started(tmp_path_factory.mktemp("empty"), "--no-demo") as house:
        yield house


@pytest.fixture
def reader(browser: Browser, house: House) -> Iterator[Page]:
    """Somebody on a phone, without scripts."""
    with browser.new_context(
        base_url=house.url, viewport={"width": 390, "height": 844}, java_script_enabled=False
    ) as context:
        yield context.new_page()


def test_from_an_empty_house_to_a_sent_issue(page: Page, reader: Page) -> None:
    expect_nothing(page)
    make_list(page)
    sign_up(reader)
    reader.goto(link_in(open_mail(page, "Please confirm your subscription"), "confirm"))
    reader.get_by_role("button", name="Confirm").click()
    reader.get_by_role("heading", name="Welcome").wait_for()
    write_newsletter(page)
    send_issue(page)
    mail = open_mail(page, "Hello Frida")
    headers = page.locator("section", has=page.get_by_role("heading", name="Headers"))
    expect(headers.get_by_role("row", name="List-Unsubscribe-Post")).to_contain_text("List-Unsubscribe=One-Click")
    link = link_in(headers.get_by_role("row", name=re.compile("^List-Unsubscribe <")), "unsubscribe")
    assert link == link_in(mail, "unsubscribe"), "the button of a mail program and the letter lead to the same page"
    reader.goto(link)
    reader.get_by_role("button", name="Unsubscribe").click()
    reader.get_by_role("heading", name="You are unsubscribed").wait_for()
    expect_left(page)


def expect_nothing(page: Page) -> None:
    page.goto("/admin/newsletters/issue/add/")
    expect(page.locator("#content")).to_contain_text("There is no newsletter yet.")
    page.goto("/subscribe/")
    expect(page.locator("main")).to_contain_text("There is nothing to subscribe to at the moment")


def make_list(page: Page) -> None:
    page.goto("/admin/newsletters/list/add/")
    page.get_by_label("Name", exact=False).first.fill("Town news")
    page.locator("[name=slug]").fill("town-news")
    page.locator("[name=public]").check(force=True)  # the drawn switch lies over it
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#content")).to_contain_text("Town news")


def sign_up(reader: Page) -> None:
    reader.goto("/subscribe/")
    reader.wait_for_timeout(2000)  # as people do
    reader.get_by_label("Your e-mail address").fill(READER)
    reader.get_by_label("Your name").fill("Frida")
    reader.get_by_role("button", name="Subscribe").click()
    reader.get_by_role("heading", name="Look into your mailbox").wait_for()


def open_mail(page: Page, subject: str) -> Locator:
    """The text of the mail with this subject, once it has come, in the Local mailbox."""
    line = page.get_by_role("link", name=subject)
    for _ in range(60):
        page.goto("/admin/mailbox/")
        if line.count():
            break
        page.wait_for_timeout(500)
    line.click()
    return page.locator("section", has=page.get_by_role("heading", name="Text part")).locator("pre")


def link_in(said: Locator, kind: str) -> str:
    found = re.search(rf"http://[^/\s]+/{kind}/[^\s>]+", said.inner_text())
    assert found is not None, said.inner_text()
    return found.group()


def write_newsletter(page: Page) -> None:
    page.goto("/admin/newsletters/newsletter/add/")
    page.locator("[name=name]").fill("Town letter")
    page.locator("[name=subject]").fill("Hello {{ name|there }}")
    page.locator("[name=body]").fill("# The usual text")
    page.get_by_role("checkbox", name="Town news").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Town letter").first).to_be_visible()


def send_issue(page: Page) -> None:
    """By the keyboard from the draft on."""
    page.goto("/admin/newsletters/issue/")
    page.get_by_role("link", name="Write an issue").first.click()
    page.get_by_role("link", name="Town letter").click()
    page.get_by_role("radio", name="I do not know yet").check()
    page.get_by_role("button", name="Write it").click()
    expect(page.get_by_text("1 reader of Town news")).to_be_visible()
    page.locator("[name=body]").fill("# The first issue\n\nGood morning.")
    press_until_focused(page, "Save and send now…")
    page.keyboard.press("Enter")
    press_until_focused(page, "Send to 1 now")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 of 1 sent")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Ended")).to_be_visible(timeout=30_000)
    assert faults(page) == []


def expect_left(page: Page) -> None:
    page.goto("/admin/newsletters/subscriber/")
    page.get_by_role("link", name=READER).first.click()
    content = page.locator("#content")
    expect(content).to_contain_text("On no list")
    expect(content.locator("ol")).to_contain_text(re.compile("Town letter of .*: sent"))
    expect(content.locator("ol")).to_contain_text("Left Town news")
    page.get_by_role("link", name=re.compile("^Town letter")).first.click()
    expect(page.locator("section", has=page.get_by_role("heading", name="What came back"))).to_contain_text(
        re.compile(r"Unsubscribed\s*1")
    )
