"""The desk in the dark: what is drawn can be seen, what is wrong can be read, and so at the sign-in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.checks import faults, is_too_wide, use_theme
from tests.browser.conftest import House, context_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NEWSLETTER = "/admin/newsletters/newsletter/1/change/"
SCHEDULE_FORM = "/admin/schedules/schedule/add/"
# Those whose own walks do not look at them in the dark.
PAGES = [
    "/admin/newsletters/lettertemplate/add/", "/admin/newsletters/image/add/", "/admin/newsletters/suppression/add/",
    "/admin/reports/reportdefinition/1/change/", "/admin/cleanup/cleanuppolicy/1/detail/", "/admin/runs/auditentry/",
    "/admin/runs/alert/", "/admin/my-settings/",
]  # fmt: skip

# The ratio of WCAG 1.4.11 between the line around each control and what it stands on.
_WEAKEST_EDGE = """selector => {
    const canvas = document.createElement("canvas");
    const brush = canvas.getContext("2d", { willReadFrequently: true });
    const light = (color) => {
        brush.clearRect(0, 0, 1, 1);
        brush.fillStyle = color;
        brush.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
        const linear = [red, green, blue].map(part => part / 255).map(
            part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
        return { alpha, value: .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2] };
    };
    const ground = (element) => {
        for (let at = element.parentElement; at; at = at.parentElement) {
            const found = light(getComputedStyle(at).backgroundColor);
            if (found.alpha === 255) return found.value;
        }
        return 1;
    };
    const ratios = [...document.querySelectorAll(selector)].filter(element => element.offsetParent).map(element => {
        const [low, high] = [light(getComputedStyle(element).borderTopColor).value, ground(element)].sort((a, b) => a - b);
        return (high + .05) / (low + .05);
    });
    return ratios.length ? Math.min(...ratios) : 0;
}"""


def test_no_page_has_a_serious_fault_from_the_sidebar_to_the_last_line(page: Page) -> None:
    use_theme(page, "dark")
    found = []
    for path in PAGES:
        page.goto(path)
        found += faults(page, context="html")
    assert found == []


def test_the_edges_of_fields_can_be_seen(page: Page) -> None:
    use_theme(page, "dark")
    page.goto(SCHEDULE_FORM)
    assert faults(page) == []
    for fields in (
        "input[type=text]",
        "input[type=radio]:not(:checked)",
        "input[type=checkbox]:not(:checked)",
        "select",
    ):
        assert page.evaluate(_WEAKEST_EDGE, f"#schedule_form {fields}") >= 3, fields
    page.goto("/admin/schedules/schedule/")
    chooser = page.locator("#content select").first
    assert page.evaluate(_WEAKEST_EDGE, "#content select") >= 3
    assert chooser.evaluate("element => getComputedStyle(element).colorScheme") == "dark", "its list is dark as well"


def test_errors_the_menu_of_the_account_and_filters_can_be_read(page: Page) -> None:
    use_theme(page, "dark")
    page.goto(SCHEDULE_FORM)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".errorlist").first).to_be_visible()
    assert faults(page) == []
    page.locator("[x-on\\:click*=openUserLinks]").first.click()
    expect(page.get_by_text("My settings")).to_be_visible()
    assert faults(page, context="html") == []
    page.goto("/admin/newsletters/subscriber/")
    page.get_by_text("Filters").first.click()
    expect(page.get_by_text("By in the segment")).to_be_visible()
    # The cover beside the filters, which closes them by a click, is Unfold's own.
    assert [found for found in faults(page, context="html") if "changelist-filter-close" not in str(found)] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_typed_is_offered_above_everything_else(page: Page, theme: str) -> None:
    use_theme(page, theme)
    page.on("dialog", lambda dialog: dialog.accept())
    for path in (NEWSLETTER, SCHEDULE_FORM):
        page.goto(path)
        page.locator("#id_name").press_sequentially("x")
        page.wait_for_function("Object.keys(sessionStorage).some(key => key.startsWith('almanac-typing'))")
        page.goto(path)
        banner = page.locator("#content > .al-typing-kept:first-child")
        expect(banner).to_be_in_viewport()
        assert banner.evaluate("""element => element.nextElementSibling.getBoundingClientRect().top
            - element.getBoundingClientRect().bottom""") >= 8  # fmt: skip
        assert faults(page) == []
        page.set_viewport_size({"width": 390, "height": 844})
        expect(banner.get_by_role("button", name="Forget it")).to_be_in_viewport()
        assert not is_too_wide(page)
        page.set_viewport_size({"width": 1280, "height": 900})
        banner.get_by_role("button", name="Forget it").click()


def test_who_mistypes_the_password_reads_it_on_the_page(browser: Browser, house: House) -> None:
    with browser.new_context(base_url=house.url, color_scheme="dark") as context:
        page = context.new_page()
        page.goto("/admin/login/")
        page.get_by_label("Username").fill("somebody")
        page.get_by_label("Password").fill("mistyped")
        page.keyboard.press("Enter")
        expect(page.get_by_text("This name and this password do not go together.")).to_be_visible()
        expect(page.get_by_text("Please correct the error")).to_be_hidden()
        assert page.evaluate("document.documentElement.classList.contains('dark')"), "as the computer is set"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_is_not_white_before_it_is_dark(browser: Browser, house: House, theme: str) -> None:
    """As long as Unfold's script is on its way."""
    with context_of(browser, house) as context:
        page = context.new_page()
        use_theme(page, theme)
        page.route(re.compile("/alpine/alpine"), lambda route: route.abort())
        page.goto("/admin/runs/run/")
        assert page.evaluate("getComputedStyle(document.documentElement).display") == "none"
        shown = page.evaluate("getComputedStyle(document.documentElement).colorScheme")
        assert (shown == "dark") == (theme == "dark"), shown
