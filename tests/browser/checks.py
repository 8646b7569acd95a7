"""What every page must hold: no serious accessibility fault, nothing that only a mouse can reach, no overflow on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browser.conftest import House, context_of

_CLICK_ONLY = """() => [...document.querySelectorAll('#content [x-on\\\\:click], #content [onclick]')]
    .filter(element => element.offsetParent && element.tabIndex < 0).map(element => element.outerHTML.slice(0, 160))"""

_BROKEN_WORDS = """where => {
    const found = [], texts = document.createTreeWalker(where, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        for (const word of texts.currentNode.data.matchAll(/[^\\s\\u2010-\\u2015\\/-]+/g)) {
            const range = document.createRange();
            range.setStart(texts.currentNode, word.index);
            range.setEnd(texts.currentNode, word.index + word[0].length);
            const lines = new Set([...range.getClientRects()].filter(one => one.width > 1).map(one => Math.round(one.top)));
            if (lines.size > 1) found.push(word[0]);
        }
    }
    return found;
}"""

# Colours that change slowly are waited for.
_OTHER_THEME = """async () => {
    document.documentElement.classList.toggle("dark");
    await new Promise(done => requestAnimationFrame(done));
    await Promise.race([
        Promise.allSettled(document.getAnimations().map(one => one.finished)), new Promise(done => setTimeout(done, 500)),
    ]);
}"""


def use_theme(page: Page, theme: str) -> None:
    """light or dark, from the next page on."""
    page.add_init_script(f"if (window === window.top) localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")


_STANDS_STILL = """() => document.getAnimations().every(
    one => one.playState !== "running" || one.effect.getComputedTiming().endTime === Infinity)"""


def faults(page: Page, *, context: str = "#content") -> list[object]:
    """What axe finds serious or critical in the page as it is, by day and at night, and what only a mouse reaches."""
    page.wait_for_load_state("networkidle")
    page.locator("#content").wait_for()
    page.wait_for_function(_STANDS_STILL)  # half faded in, a colour is not yet its own
    chosen = page.evaluate("localStorage.getItem('adminTheme')")
    assert ("dark" in (chosen or "")) == page.evaluate("document.documentElement.classList.contains('dark')"), chosen
    found = _violations(page, context)
    if "dark" not in (chosen or ""):
        # The same page at night differs in its colours only.
        page.evaluate(_OTHER_THEME)
        found += _violations(page, context, rules=["color-contrast"])
        page.evaluate(_OTHER_THEME)
    return found + [(page.url, "only by mouse", html) for html in page.evaluate(_CLICK_ONLY)]


def _violations(page: Page, context: str, rules: Sequence[str] = ()) -> list[object]:
    options = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else None
    return [
        (page.url, violation["id"], violation["nodes"][0]["html"][:200])
        for violation in Axe().run(page, context=context, options=options).response["violations"]
        if violation["impact"] in ("critical", "serious")
    ]


def faults_of(page: Page, paths: Iterable[str]) -> list[object]:
    """The same of many pages, one after another."""
    found: list[object] = []
    for path in paths:
        page.goto(path)
        found += faults(page)
    return found


def broken_words(page: Page, where: str) -> list[str]:
    """The words within the element that begin on one line and end on another; one with a hyphen or a slash may."""
    return [str(word) for word in page.locator(where).evaluate(_BROKEN_WORDS)]


def is_too_wide(page: Page) -> bool:
    """Whether the page can be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


@contextmanager
def phone(browser: Browser, house: House) -> Iterator[Page]:
    """A page on a phone, signed in."""
    with context_of(browser, house, viewport={"width": 390, "height": 844}) as context:
        yield context.new_page()


def too_wide(page: Page, paths: Iterable[str]) -> list[str]:
    """Those of the pages that can be scrolled sideways."""
    wide = []
    for path in paths:
        page.goto(path)
        if is_too_wide(page):
            wide.append(path)
    return wide


def press_until_focused(page: Page, name: str, *, role: str = "button") -> None:
    """Goes on with Tab until the control of that name has the focus, as somebody without a mouse does."""
    wanted = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    for _ in range(120):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} cannot be reached with the keyboard")
