"""Reads the pages of a PDF: upright, with their lines, rules and form fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataset.conversion.pdf.drawing import (
    THIN,
    Box,
    has_image,
    links_of,
    rules_of,
    widen_unknown_glyphs,
)
from dataset.conversion.pdf.fields import fields_of, with_fields
from dataset.conversion.pdf.lines import Line, lines_of
from dataset.conversion.pdf.scripts import write_scripts
from dataset.conversion.pdf.words import SLANTED, Word, WordReader, main_turn

_MARGIN = 0.1
"""Share of a page's height that running heads and page numbers use."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page, turned so that most of its text runs to the right."""

    lines: list[Line]
    """In drawing order, those that run elsewhere last."""
    rules: list[Box]
    width: float
    height: float
    number: int
    """From 0."""
    has_image: bool

    @property
    def is_unread(self) -> bool:
        """True if it has an image or glyphs, and no text: those of unknown glyphs are empty."""
        is_drawn = self.has_image or len(self.lines) > 0
        return is_drawn and not any(line.text for line in self.lines)

    def is_at_top(self, line: Line) -> bool:
        """True if a line is where running heads are."""
        return line.box.bottom > (1 - _MARGIN) * self.height

    def is_at_foot(self, line: Line) -> bool:
        """True if a line is where running feet are."""
        return line.box.top < _MARGIN * self.height


def read_sheet(document: Any, number: int) -> Sheet:
    """Read a page of a pypdfium2 document, by its number from 0."""
    import pypdfium2.raw as pdfium  # type: ignore[import-untyped, unused-ignore]

    page = document[number]
    try:
        area = Box(*page.get_bbox())
        widen_unknown_glyphs(pdfium, page)
        reader = WordReader(pdfium, area, list(links_of(pdfium, document, page)))
        words = reader.read(page)
        stated = pdfium.FPDFPage_GetRotation(page.raw)
        turn = main_turn(words, stated)
        if turn != stated:
            # PDFium reads the lines of an upright page in order.
            pdfium.FPDFPage_SetRotation(page.raw, turn)
            words = reader.read(page)
        rules = [rule.turned(area, turn) for rule in rules_of(pdfium, page)]
        fields = [
            replace(field, box=field.box.turned(area, turn))
            for field in fields_of(pdfium, document, page)
        ]
        lines = with_fields(_lines(words, turn, number, area, rules), fields, number)
        _, _, width, height = area.turned(area, turn)
        return Sheet(lines, rules, width, height, number, has_image(pdfium, page))
    finally:
        page.close()


def _lines(
    words: Sequence[Word], turn: int, number: int, page: Box, rules: Iterable[Box]
) -> list[Line]:
    """A page's lines in drawing order, with those of other directions last, set aside."""
    by_turn: dict[int, list[Word]] = {turn: []}
    for word in words:
        by_turn.setdefault(word.typeface.turn, []).append(word)
    uprights = [rule for rule in rules if rule.top - rule.bottom > THIN]
    lines = list(lines_of(by_turn.pop(turn), number, uprights))
    for other, sideways in by_turn.items():
        seen = page.turned(page, other % SLANTED)
        for line in lines_of(sideways, number, ()):
            line.box = line.box.turned(seen, (turn - other % SLANTED) % 4)
            line.aside = True
            lines.append(line)
    write_scripts(lines)
    return lines
