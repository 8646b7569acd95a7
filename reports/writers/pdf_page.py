"""The paper of a PDF report: its fonts and colours, and text that is measured, cut and wrapped before it is drawn."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.fonts import TTFFont

FONTS = Path(__file__).parent / "fonts"
MARGIN = 42.0
INK, QUIET, LINE, GROUND = (30, 41, 59), (94, 108, 132), (214, 221, 230), (236, 241, 243)
TEAL, TEAL_GROUND, AMBER, AMBER_GROUND = (15, 118, 110), (226, 241, 240), (150, 72, 10), (253, 240, 217)
BOX = "\N{WHITE SQUARE}"
LONGEST = 400
"""No cell or line shows more characters than this, so that one enormous value costs no more than another."""

Colour = tuple[int, int, int]
Align = Literal["left", "right"]


class Paper(FPDF):
    """A4 in points, with (0, 0) at the top left. A character that the fonts do not have becomes a box."""

    def __init__(self, title: str, made_at: datetime, foot: str) -> None:
        super().__init__(unit="pt", format="A4")
        self._foot = foot
        self.total = 1
        """How many pages there will be."""
        self.add_font("report", "", FONTS / "DejaVuSansCondensed.ttf")
        self.add_font("report", "B", FONTS / "DejaVuSansCondensed-Bold.ttf")
        self.set_auto_page_break(False)
        self.set_margin(0)
        self.set_title(title)
        self.set_lang("en-GB")
        self.set_producer("Almanac")
        self.set_creation_date(made_at)
        self._clean: dict[str, str] = {}

    @property
    def inner_width(self) -> float:
        """Between the margins."""
        return float(self.w) - 2 * MARGIN

    def footer(self) -> None:
        """Called by FPDF when a page is full, so that readers of the text meet it last."""
        y = float(self.h) - MARGIN + 10
        self.use(7.5, QUIET)
        number = f"Page {self.page_no()} of {self.total}"
        self.put(MARGIN, y, self.fitted(self._foot, self.inner_width - self.width_of(number) - 20))
        self.put(MARGIN, y, number, self.inner_width, "right")

    def use(self, size: float, colour: Colour = INK, *, bold: bool = False) -> None:
        """The font and colour of what is drawn next."""
        self.set_font("report", "B" if bold else "", size)
        self.set_text_color(*colour)

    def clean(self, text: str) -> str:
        """One line of it that the fonts can show."""
        known = self._clean.get(text)
        if known is None:
            line = " ".join(text[:LONGEST].split())
            known = line if line.isascii() and line.isprintable() else "".join(map(self._shown, line))
            if len(self._clean) > 20_000:
                self._clean.clear()
            self._clean[text] = known
        return known

    def width_of(self, text: str) -> float:
        """Of text that is clean."""
        return sum(map(self._width, text))

    def fitted(self, text: str, width: float) -> str:
        """The text, or as much of it as fits, with "…" where it was cut."""
        text = self.clean(text)
        if self.width_of(text) <= width:
            return text
        room = width - self.width_of("…")
        for place, character in enumerate(text):
            room -= self._width(character)
            if room < 0:
                return f"{text[:place].rstrip()}…"
        return text

    def wrapped(self, text: str, width: float, most: int) -> list[str]:
        """The text in lines of that width; the last that may be there is cut."""
        lines: list[str] = []
        rest = self.clean(text)
        while rest and len(lines) < most - 1:
            line, used = "", 0
            for word in rest.split(" "):
                longer = f"{line} {word}" if line else word
                if self.width_of(longer) > width and line:
                    break
                line, used = longer, used + len(word) + 1
            lines.append(self.fitted(line, width))
            rest = rest[used:]
        return [*lines, self.fitted(rest, width)] if rest else lines

    def put(self, x: float, baseline: float, text: str, width: float = 0, align: Align = "left") -> None:
        """Draws text that is clean and fits."""
        if not text:
            return
        if align == "right":
            x += width - self.width_of(text)
        self.text(x, baseline, text if text.isascii() else _as_it_is_seen(text))

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle."""
        self.set_fill_color(*colour)
        self.rect(x, y, width, height, style="F")

    def rule(self, x: float, y: float, width: float, colour: Colour = LINE) -> None:
        """A thin line."""
        self.set_draw_color(*colour)
        self.set_line_width(0.5)
        self.line(x, y, x + width, y)

    def _width(self, character: str) -> float:
        assert isinstance(self.current_font, TTFFont)
        return self.current_font.cw[ord(character)] * float(self.font_size_pt) / 1000

    def _shown(self, character: str) -> str:
        if not character.isprintable() or unicodedata.combining(character):
            # What cannot be seen has no box; a mark over a letter would stand beside it.
            return "" if unicodedata.category(character) in ("Cf", "Mn", "Cc") else BOX
        return character if ord(character) in self.fonts["report"].cmap else BOX  # type: ignore[union-attr]


def _as_it_is_seen(text: str) -> str:
    """Hebrew and Arabic run from right to left; a PDF has its text as it is seen."""
    if any(unicodedata.bidirectional(character) in ("R", "AL", "RLE", "RLO", "RLI") for character in text):
        return str(BidiParagraph(text).get_reordered_string())
    return text
