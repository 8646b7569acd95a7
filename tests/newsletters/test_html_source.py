"""What staff write in HTML: closed, without scripts, and nothing in it that could swallow the unsubscribe link."""

from __future__ import annotations

import pytest

from newsletters import html_source
from newsletters.source_errors import SourceError


@pytest.mark.parametrize(
    "source",
    [
        "<p>one<p>two<br>three",
        "<ul><li>a<li>b</ul><table><tr><td>x</table>",
        "a < b & c > d",
        '<a href="https://example.org/?a=1&b=2" title="x > y">l</a>',
        "<!-- a note --><div><img src='x' /></div>",
        "<!--[if mso]><table><tr><td><![endif]--><div>x</div><!--[if mso]></td></tr></table><![endif]-->",
        "<html><head><style>p > b { color: red }</style></head><body><p>x</body></html>",
    ],
)
def test_good_html_passes(source: str) -> None:
    html_source.check(source)


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("<p>x</p>\n<div>y", 2, "<div> is never closed"),
        ("x\n</div>", 2, "</div> closes nothing"),
        ("<div>\n<b>x</div>", 2, "</div> comes before <b> of line 2 is closed"),
        ("<p>x</p>\n<a href='x>y</a>", 2, "never closed with >"),
        ("<p>\n<!-- x", 2, "“<!--” is never closed with “-->”"),
        ("<style>a {\n<p>x</p>", 1, "“<style” is never closed"),
        ("x\n<script>alert(1)</script>", 2, "Scripts do not run in mails"),
        ("<img src=x onerror=alert(1)>", 1, "onerror=… is a script"),
        ("<a href=' java\nscript:alert(1)'>x</a>", 1, "holds a script"),
        ("<iframe src='https://x'></iframe>", 1, "Mail programs do not show it"),
        ("<form action='https://x'></form>", 1, "Forms do not work in mails"),
        ("<base href='https://x'>", 1, "<base> changes where every link leads"),
        ("<link rel='stylesheet' href='https://x'>", 1, "Put the rules into <style>"),
        ("<meta http-equiv='Refresh' content='0;url=https://x'>", 1, "lead on to another page"),
    ],
)
def test_bad_html_is_refused_with_its_line(source: str, line: int, words: str) -> None:
    with pytest.raises(SourceError) as refusal:
        html_source.check(source)
    assert words in str(refusal.value)
    assert refusal.value.line == line


def test_a_page_is_told_from_a_part() -> None:
    assert html_source.is_page("<!doctype html><p>x")
    assert html_source.is_page("<body class='x'>y</body>")
    assert not html_source.is_page("<p>x</p><!-- <body> -->")
