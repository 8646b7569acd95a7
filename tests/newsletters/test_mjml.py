"""MJML is read by us before the library sees it: what is wrong is said with its line."""

from __future__ import annotations

import pytest

from newsletters import mjml
from newsletters.source_errors import SourceError

RIGHT = """<mjml>
  <mj-head><mj-style>.a > b { color: red }</mj-style><mj-attributes><mj-all padding="0" /></mj-attributes></mj-head>
  <mj-body>
    <!-- a comment <mj-nothing> -->
    <mj-section><mj-column>
      <mj-text>Text with <b>bold</b>,<br> a picture <img src="https://example.org/a.png"> &amp; more</mj-text>
      <mj-button href="https://example.org/">Go</mj-button>
      <mj-image src='https://example.org/b.png' alt="a" />
      <mj-raw><p>raw</p></mj-raw>
    </mj-column></mj-section>
  </mj-body>
</mjml>"""


def test_what_is_right_becomes_html() -> None:
    mjml.check(RIGHT)
    made = mjml.to_html(RIGHT)
    assert "<b>bold</b>" in made
    assert 'href="https://example.org/"' in made


def test_readers_are_not_sent_to_a_font_server() -> None:
    assert "googleapis" not in mjml.to_html(RIGHT)


@pytest.mark.parametrize(
    ("broken", "line", "words"),
    [
        (RIGHT.replace("mj-column", "mj-colunm"), 5, "There is no MJML tag <mj-colunm>."),
        (RIGHT.replace("</b>", ""), 6, "</mj-text> comes before <b> of line 6 is closed. Write </b> first."),
        (RIGHT.replace("</mj-text>", ""), 7, "<mj-button> cannot stand within <mj-text>."),
        (RIGHT.replace("</mj-body>\n", ""), 11, "</mjml> comes before <mj-body> of line 3 is closed."),
        (RIGHT.replace("\n</mjml>", ""), 1, "<mjml> is never closed."),
        (RIGHT.replace("-->", ""), 4, "A comment that begins with <!-- is never closed"),
        (RIGHT.replace('org/">Go', "org/>Go"), 7, "is not a complete tag: a quote or > is missing"),
        (RIGHT.replace("more<", "5 < 6<"), 6, "Write &lt; for the sign <"),
        (RIGHT.replace("</mj-style>", ""), 2, "<mj-style> is never closed"),
        (RIGHT.replace("<mj-section><mj-column>", "<mj-section>lost<mj-column>"), 5, "“lost” stands outside of a text"),
        (RIGHT.replace("<mj-section><mj-column>", "<mj-section><div></div><mj-column>"), 5, "<div> is HTML and stands"),
        (RIGHT.replace("<mj-raw>", '<mj-include path="/etc/passwd" /><mj-raw>'), 9, "<mj-include> cannot be used"),
        (RIGHT.replace("<p>raw", "<script>raw"), 9, "<script> does not work in mails"),
        ("</mj-section>", 1, "closes nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(broken: str, line: int, words: str) -> None:
    with pytest.raises(SourceError) as refusal:
        mjml.check(broken)
    assert words in str(refusal.value)
    assert refusal.value.line == line
    assert str(refusal.value).startswith(f"Line {line}: ")


def test_a_part_becomes_a_document_on_the_same_lines() -> None:
    part = "<mj-section>\n<mj-column>\n<mj-tekst>x</mj-tekst></mj-column></mj-section>"
    with pytest.raises(SourceError, match="Line 3"):
        mjml.check(mjml.document(part))
    assert mjml.document(RIGHT) == RIGHT


def test_what_only_the_library_refuses_is_an_error_too() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        mjml.to_html("<mj-text>no document</mj-text>")
