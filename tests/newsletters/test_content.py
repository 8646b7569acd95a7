"""From Markdown to the frozen parts of an issue."""

from __future__ import annotations

import http.server
import threading

import pytest

from newsletters import content, mergetags


def freeze(body: str, **changes: object) -> content.Frozen:
    values = {"subject": "S", "body": body, "title": "Weekly letter", "list_names": ["City news"], **changes}
    return content.freeze(content.Source(**values))  # type: ignore[arg-type]


def test_it_inlines_the_styles() -> None:
    html = freeze("# News\n\nText").html
    assert '<h1 style="' in html
    assert "<link" not in html
    assert "@media (prefers-color-scheme: dark)" in html


def test_the_footer_says_why_and_lets_go() -> None:
    frozen = freeze("Text", list_names=["City news", "Sport"])
    for part in (frozen.html, frozen.text):
        assert "because you are on the list City news or Sport" in part
        assert "{{ unsubscribe_url }}" in part


def test_tags_survive_markdown_links_and_tables() -> None:
    frozen = freeze("[out]({{ unsubscribe_url }}) **{{ name|my friend }}**\n\n| a |\n|---|\n| {{ city|x }} |")
    assert 'href="{{ unsubscribe_url }}"' in frozen.html
    assert "{{ name|my friend }}</strong>" in frozen.html
    assert "{{ city|x }}</td>" in frozen.html
    assert "{{ name|my friend }}" in frozen.text
    assert content.used_attributes(frozen) == {"city"}


def test_pasted_html_stays_text() -> None:
    html = freeze("<script>alert(1)</script> [x](javascript:alert(1))").html
    assert "<script" not in html
    assert 'href="javascript' not in html


def test_a_fallback_cannot_break_out_of_the_page() -> None:
    letter = content.Parts(freeze("{{ name|<b>you</b> }}")).fill({})
    assert "&lt;b&gt;you&lt;/b&gt;" in letter.html


def test_names_of_ours_with_braces_are_no_tags() -> None:
    frozen = freeze("Text", title="{{ x <i>", list_names=["}} y"])
    assert content.Parts(frozen).fill({}).html


def test_the_fingerprint_changes_with_each_part_and_only_then() -> None:
    same = freeze("Text")
    assert same.sha256 == freeze("Text").sha256
    assert len({same.sha256, freeze("Text.").sha256, freeze("Text", subject="T").sha256}) == 3


def test_an_unclosed_tag_is_refused() -> None:
    with pytest.raises(mergetags.MergeTagError, match="not complete"):
        freeze("Hello {{ name")


def test_it_fetches_nothing_from_elsewhere() -> None:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        freeze(f'![x]({address}/a.png)\n\n<link rel="stylesheet" href="{address}/a.css">')
    finally:
        server.shutdown()
    assert asked == []


def test_the_text_part_keeps_the_lines_of_code() -> None:
    assert ".dot\n  ..two\n.\n" in freeze("    .dot\n      ..two\n    .\n\nText").text


MJML_LAYOUT = content.Layout(
    "<mjml><mj-body>\n<mj-section><mj-column><mj-text>Dear {{ name|you }}</mj-text></mj-column></mj-section>\n"
    "{{ content }}\n</mj-body></mjml>",
    "mjml",
)
HTML_LAYOUT = content.Layout("<html><body><h1>{{ name|Hello }}</h1>{{ content }}<hr>{{ footer }}</body></html>", "html")
MJML_PART = "<mj-section><mj-column><mj-text>Hi <b>{{ name|you }}</b></mj-text></mj-column></mj-section>"
HTML_PAGE = "<!DOCTYPE html><html><head><title>x</title></head><body><p>Hi <b>{{ name|you }}</b></p></body></html>"


@pytest.mark.parametrize(
    ("format", "body", "template"),
    [
        ("markdown", "Hi **{{ name|you }}**", None),
        ("markdown", "Hi **{{ name|you }}**", HTML_LAYOUT),
        ("markdown", "Hi **{{ name|you }}**", MJML_LAYOUT),
        ("html", "<p>Hi <b>{{ name|you }}</b>", None),
        ("html", "<p>Hi <b>{{ name|you }}</b>", HTML_LAYOUT),
        ("html", "<p>Hi <b>{{ name|you }}</b>", MJML_LAYOUT),
        ("html", HTML_PAGE, None),
        ("mjml", MJML_PART, None),
        ("mjml", f"<mjml><mj-body>{MJML_PART}</mj-body></mjml>", None),
        ("mjml", MJML_PART, MJML_LAYOUT),
    ],
)
def test_every_format_in_every_layout_has_the_text_the_footer_and_the_preview_line(
    format: str, body: str, template: content.Layout | None
) -> None:
    frozen = freeze(
        body, format=format, template=template, preheader="Soon {{ name|you }}", postal_address="Market 1\n9000 Town"
    )
    letter = content.Parts(frozen).fill(
        {
            "name": "Zoë <b>",
            "unsubscribe_url": "https://u/1",
            "preferences_url": "https://p/1",
            "view_url": "https://v/1",
        }
    )
    for url in ("https://u/1", "https://p/1", "https://v/1"):
        assert letter.html.count(f'href="{url}"') == 1
        assert letter.text.count(url) == 1
    assert "Zoë &lt;b&gt;</" in letter.html
    assert "Hi Zoë <b>" in letter.text.replace("\n", " ")
    for part in (letter.html, letter.text):
        assert "Market 1" in part
        assert part.count("because you are on the list City news") == 1
    assert letter.html.index("Soon Zoë &lt;b&gt;") < letter.html.index("Hi ")
    assert "Soon" not in letter.text
    assert "{{" not in letter.html + letter.text


@pytest.mark.parametrize(
    ("format", "body", "template", "field", "words"),
    [
        ("mjml", MJML_PART, HTML_LAYOUT, "template", "needs an MJML layout"),
        ("html", HTML_PAGE, HTML_LAYOUT, "template", "a whole page by itself"),
        ("html", HTML_PAGE, MJML_LAYOUT, "template", "a whole page by itself"),
        ("mjml", f"<mjml><mj-body>{MJML_PART}</mj-body></mjml>", MJML_LAYOUT, "template", "a whole page by itself"),
        (
            "mjml",
            "<mj-section>\n<mj-txt>x</mj-txt></mj-section>",
            None,
            "body",
            "Line 2: There is no MJML tag <mj-txt>",
        ),
        ("mjml", "<mjml></mjml>", None, "body", "no <mj-body>"),
        ("html", "<p>x</p>\n\n<div>", None, "body", "Line 3: <div> is never closed"),
        ("markdown", "a\n\nb {{ name", None, "body", "Line 3: A merge tag is not complete"),
        ("markdown", "x", content.Layout("<div>{{ content }}", "html"), "template", "Line 1: <div> is never closed"),
        ("markdown", "x", content.Layout(f"<mjml>{MJML_PART}{{{{ content }}}}</mjml>", "mjml"), "template", "mj-body"),
    ],
)
def test_what_does_not_work_is_refused_at_its_field(
    format: str, body: str, template: content.Layout | None, field: str, words: str
) -> None:
    with pytest.raises(content.SourceError) as refusal:
        freeze(body, format=format, template=template)
    assert words in str(refusal.value)
    assert refusal.value.field == field


@pytest.mark.parametrize("field", ["subject", "preheader"])
def test_an_unclosed_tag_is_told_at_its_field(field: str) -> None:
    with pytest.raises(content.SourceError) as refusal:
        freeze("Text", **{field: "Hello {{ name"})
    assert refusal.value.field == field


def test_links_are_counted_once_each_and_only_those_that_lead_everybody_to_the_same_page() -> None:
    body = (
        "[a](https://example.org/?x=1&y=2) [again](https://example.org/?x=1&y=2) [b](http://example.com/) "
        "[mine](https://example.org/{{ city }}) [m](mailto:a@example.org) [u]({{ unsubscribe_url }})"
    )
    plain, counted = freeze(body), freeze(body, click_url=lambda number: f"https://c.example/{number}?a=1&b=2")
    assert plain.links == ()
    assert counted.links == ("https://example.org/?x=1&y=2", "http://example.com/")
    assert counted.html.count('href="https://c.example/1?a=1&amp;b=2"') == 2
    assert counted.html.count('href="https://c.example/2?a=1&amp;b=2"') == 1
    assert 'href="https://example.org/{{ city }}"' in counted.html
    assert 'href="mailto:a@example.org"' in counted.html
    assert counted.html.count("{{ unsubscribe_url }}") == plain.html.count("{{ unsubscribe_url }}") == 2
    assert counted.text == plain.text


def test_a_text_cannot_take_the_footer_away() -> None:
    for body in (
        "</div></td></tr></table></body></html>",
        "<!--",
        "<style>",
        "<div style='display:none'>",
        "<a href='",
    ):
        with pytest.raises(content.SourceError):
            freeze(body, format="html")


def test_the_size_is_that_of_the_html() -> None:
    letter = content.Parts(freeze("ä" * 1000)).fill({})
    assert letter.bytes == len(letter.html.encode()) > 2000


HOSTILE = (
    '<p onclick="x()" style="position:fixed;color:red;background-image:url(https://x)">A</p><script>alert(1)</script>'
    '<iframe src="https://x"></iframe><a href="javascript:alert(1)">b</a><img src="x" onerror="y()" alt="c">'
    '<svg><script>1</script></svg><style>*{}</style><form><input></form><a href="https://ok.example/" target="_blank">d</a>'
)


def test_on_the_web_only_what_is_harmless_is_left() -> None:
    shown = content.for_web(f"<html><body>{HOSTILE}</body></html>")
    for bad in (
        "script",
        "onclick",
        "onerror",
        "javascript",
        "iframe",
        "<svg",
        "<style",
        "<form",
        "<input",
        "fixed",
        "url(",
    ):
        assert bad not in shown, bad
    assert 'style="color:red"' in shown
    assert 'href="https://ok.example/" rel="noopener noreferrer nofollow"' in shown
    assert 'alt="c"' in shown


def test_on_the_web_there_is_no_footer_and_no_preview_line() -> None:
    for template in (None, HTML_LAYOUT, MJML_LAYOUT):
        shown = content.for_web(freeze("# News\n\nText", preheader="Soon", template=template).html)
        assert "Text" in shown
        assert "unsubscribe" not in shown.lower()
        assert "on the list" not in shown
        assert "Soon" not in shown
