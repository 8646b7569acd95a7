"""The editor of letters with mouse and keyboard: preview, merge tags, a picture, a test mail, checks, a layout."""

from __future__ import annotations

import re
import time
from io import BytesIO

import pytest
from PIL import Image as Picture
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.checks import faults, is_too_wide, phone, press_until_focused
from tests.browser.conftest import House, context_of

pytestmark = pytest.mark.browser
LETTER = "/admin/newsletters/newsletter/1/change/"


def pixel() -> bytes:
    file = BytesIO()
    Picture.new("RGB", (1, 1), "teal").save(file, "PNG")
    return file.getvalue()


def letter(page: Page) -> Locator:
    return page.frame_locator("[data-letter-preview] iframe").locator("body")


def test_a_letter_is_written_with_the_mouse_and_the_preview_follows(page: Page) -> None:
    page.goto(LETTER)
    expect(letter(page)).to_contain_text("The library opens again")
    expect(page.locator("[data-letter-checks]")).to_contain_text("Readers can unsubscribe")
    text = page.get_by_role("textbox", name="Text", exact=True)
    text.fill("# Market day\n\nDear ")
    page.get_by_role("button", name="Merge tag…").click()
    page.get_by_label("What", exact=True).select_option("district")
    page.get_by_label("Where a reader has none, write").fill("our town")
    page.get_by_role("button", name="Insert", exact=True).click()
    expect(text).to_have_value("# Market day\n\nDear {{ district|our town }}")
    expect(text).to_be_focused()
    expect(letter(page)).to_contain_text("Dear Harbour")
    page.get_by_text("a reader with nothing filled in").click()
    expect(letter(page)).to_contain_text("Dear our town")
    page.get_by_label("Beginning of a reader's address").fill("reader003")
    expect(letter(page)).to_contain_text("Dear Hill")
    for view, sign in (("Plain text", "Unsubscribe: "), ("Headers", "List-Unsubscribe-Post")):
        page.get_by_role("radio", name=view, exact=True).check()
        expect(page.locator("[data-letter-preview]")).to_contain_text(sign)
    page.get_by_role("radio", name="Phone", exact=True).check()
    expect(page.locator(".nl-letter-phone")).to_be_visible()
    text.fill("Fine\n\nHello {{ nmae }}")
    expect(page.locator("[data-letter-preview]")).to_contain_text("Line 3: There is no merge tag {{ nmae }}")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#content-main")).to_contain_text("Line 3: There is no merge tag {{ nmae }}")
    expect(page.get_by_role("textbox", name="Text", exact=True)).to_have_value("Fine\n\nHello {{ nmae }}")


def test_the_same_with_the_keyboard_alone(page: Page) -> None:
    page.goto(LETTER)
    page.get_by_label("Subject*").focus()
    page.keyboard.press("End")
    page.keyboard.type(" and ")
    press_until_focused(page, "Merge tag…")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Insert a merge tag")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Merge tag…")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # in the field of the fallback, which inserts
    expect(page.get_by_label("Subject*")).to_have_value("City news for {{ name|our readers }} and {{ name|there }}")
    expect(page.locator(".nl-subject")).to_contain_text(" and ")
    press_until_focused(page, "To", role="textbox")
    page.keyboard.press("Enter")  # sends the test, and does not save the form
    expect(page.locator("[data-letter-test]")).to_contain_text("On its way to admin@example.org")
    expect(page.get_by_role("button", name="Send the test")).to_be_focused()
    page.on("dialog", lambda dialog: dialog.accept())  # what was typed here is not to be saved
    page.goto("/admin/mailbox/")
    expect(page.locator("#content")).to_contain_text("[Test] City news for")


def test_a_picture_of_the_library_is_put_in_and_readers_can_fetch_it(page: Page, house: House) -> None:
    page.goto("/admin/newsletters/image/add/")
    page.set_input_files("[name=upload]", {"name": "dot.png", "mimeType": "image/png", "buffer": pixel()})
    page.fill("[name=alt]", "A very small dot")
    page.get_by_role("button", name="Save", exact=True).click()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if "A very small dot" in page.request.get("/admin/newsletters/image/pick/").text():
            break
        page.wait_for_timeout(300)
    page.goto(LETTER)
    text = page.get_by_role("textbox", name="Text", exact=True)
    text.fill("")
    page.get_by_role("button", name="Picture…").click()
    page.locator(".nl-pictures").get_by_text("A very small dot").click()
    assert faults(page, context="dialog[open]") == []
    page.get_by_role("button", name="Insert", exact=True).last.click()
    expect(text).to_have_value(re.compile(rf"^!\[A very small dot\]\({re.escape(house.url)}/images/"))
    written = text.input_value()
    response = page.context.browser.new_context().new_page().goto(written.partition("(")[2].rstrip(")"))  # type: ignore[union-attr]
    assert response is not None
    assert (response.status, response.headers["content-type"]) == (200, "image/jpeg")
    page.get_by_label("Written in").select_option("html")
    text.fill("")
    page.get_by_role("button", name="Picture…").click()
    page.locator(".nl-pictures").get_by_text("A very small dot").click()
    page.get_by_role("button", name="Insert", exact=True).last.click()
    expect(text).to_have_value(re.compile(rf'^<img src="{re.escape(house.url)}/images/'))
    shown = page.frame_locator("[data-letter-preview] iframe").get_by_alt_text("A very small dot")
    expect(shown).to_have_js_property("naturalWidth", 1)


def test_a_layout_is_made_and_used(page: Page) -> None:
    page.goto("/admin/newsletters/lettertemplate/add/")
    expect(letter(page)).to_contain_text("The first heading")
    page.fill("[name=name]", "Winter")
    source = page.locator("[name=source]")
    source.fill(source.input_value().replace("The name of your organisation", "Town hall"))
    expect(letter(page)).to_contain_text("Town hall")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list")).to_contain_text("Winter")
    page.goto(LETTER)
    page.locator("[name=template]").select_option("Winter")
    expect(letter(page)).to_contain_text("Town hall")


def test_everybody_can_use_it(page: Page) -> None:
    for path in (LETTER, "/admin/newsletters/lettertemplate/add/", "/admin/newsletters/lettertemplate/"):
        page.goto(path)
        assert faults(page) == []
    page.goto(LETTER)
    page.get_by_role("button", name="Merge tag…").click()
    assert faults(page, context="dialog[open]") == []


def test_it_fits_a_phone(browser: Browser, house: House) -> None:
    with phone(browser, house) as page:
        page.goto(LETTER)
        expect(page.locator("[data-letter-checks]")).to_contain_text("Readers can unsubscribe")
        assert not is_too_wide(page)
        page.get_by_role("button", name="Picture…").click()
        assert not is_too_wide(page)
        page.goto("/admin/newsletters/lettertemplate/add/")
        assert not is_too_wide(page)


def test_without_scripts_the_buttons_open_the_same(browser: Browser, house: House) -> None:
    with context_of(browser, house, java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(LETTER)
        with context.expect_page() as opened:
            plain.get_by_role("button", name="Preview").click()
        assert "Would go to" in opened.value.locator("#content").inner_text()
        with context.expect_page() as opened:
            plain.get_by_role("button", name="Send the test").click()
        assert "On its way to admin@example.org" in opened.value.locator("#content").inner_text()
        with context.expect_page() as opened:
            plain.get_by_role("link", name="Check now").click()
        assert "Readers can unsubscribe" in opened.value.locator("#content").inner_text()
