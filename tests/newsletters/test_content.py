"""From Markdown to the frozen parts of an issue."""

from __future__ import annotations

import http.server
import threading

import pytest

from newsletters import content, mergetags


def freeze(body: str, **changes: object) -> content.Frozen:
    values = {"subject": "S", "body": body, "title": "Weekly letter", "list_names": ["City news"], **changes}
    return content.freeze(**values)  # type: ignore[arg-type]


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
