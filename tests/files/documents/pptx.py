"""Writes a sample document as a presentation: each heading begins a slide."""
# The library that makes the files ships no types.
# mypy: disable-error-code="import-untyped"

from itertools import cycle
from typing import Any

from pptx import Presentation
from pptx.util import Inches

from tests.files.documents.model import (
    ADDRESS,
    ALL_FEATURES,
    UNSEEN,
    Block,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Paragraph,
    Piece,
    SampleDocument,
)
from tests.files.office import saved

FEATURES = ALL_FEATURES - {"code", "note", "noted number", "quote", "code block"}
_TITLE_ONLY = 5
_BASELINES = {"superscript": "30000", "subscript": "-25000"}
_STEP = 0.4
"""Inches from one block to the next."""


class _PptxWriter:
    def __init__(self) -> None:
        self._show: Any = Presentation()
        self._slide: Any = None
        self._down = 0.0
        self._spaces = cycle((" ", " ", "\t", "\u00a0", ""))

    def write(self, document: SampleDocument) -> bytes:
        for block in document.blocks:
            self._block(block)
        hidden = self._show.slides.add_slide(self._show.slide_layouts[_TITLE_ONLY])
        hidden.shapes.title.text = UNSEEN
        hidden._element.set("show", "0")  # noqa: SLF001 (it has no other way)
        return saved(self._show)

    def _block(self, block: Block) -> None:
        self._down += _STEP
        match block:
            case Heading(line=line):
                self._slide = self._show.slides.add_slide(self._show.slide_layouts[_TITLE_ONLY])
                self._fill(self._slide.shapes.title.text_frame.paragraphs[0], line)
                self._down = 1.5
            case Paragraph(line=line):
                self._fill(self._box().paragraphs[0], line)
            case Listing(items=items):
                frame = self._box()
                self._add_items(frame, items, 0)
            case Grid():
                self._add_table(block)

    def _box(self) -> Any:
        place = (Inches(1), Inches(self._down), Inches(8), Inches(_STEP))
        return self._slide.shapes.add_textbox(*place).text_frame

    def _add_items(self, frame: Any, items: tuple[Item, ...], level: int) -> None:
        for item in items:
            paragraph = frame.add_paragraph()
            paragraph.level = level
            self._fill(paragraph, item.line)
            self._add_items(frame, item.items, level + 1)

    def _add_table(self, grid: Grid) -> None:
        columns = sum(cell.columns for cell in grid.rows[0])
        place = (Inches(1), Inches(self._down), Inches(8), Inches(_STEP))
        table = self._slide.shapes.add_table(len(grid.rows), columns, *place).table
        hanging: set[tuple[int, int]] = set()
        for down, row in enumerate(grid.rows):
            across = 0
            for cell in row:
                while (down, across) in hanging:
                    across += 1
                place = table.cell(down, across)
                if cell.columns + cell.rows > 2:
                    place.merge(table.cell(down + cell.rows - 1, across + cell.columns - 1))
                hanging |= {(down + below, across) for below in range(1, cell.rows)}
                self._fill(place.text_frame.paragraphs[0], cell.line)
                across += cell.columns

    def _fill(self, paragraph: Any, line: Line) -> None:
        for at, piece in enumerate(line):
            if at and not piece.glued:
                self._add_space(paragraph)
            self._add_runs(paragraph, piece)

    def _add_space(self, paragraph: Any) -> None:
        if space := next(self._spaces):
            paragraph.add_run().text = space
        else:
            paragraph.add_line_break()

    def _add_runs(self, paragraph: Any, piece: Piece) -> None:
        # PowerPoint cuts runs anywhere: at each correction, and at each change of language.
        cut = len(piece.text) // 2
        for text in filter(None, (piece.text[:cut], piece.text[cut:])):
            run = paragraph.add_run()
            run.text = text
            run.font.italic = piece.mark == "emphasis"
            run.font.bold = piece.mark == "strong"
            if piece.mark == "link":
                run.hyperlink.address = ADDRESS
            if baseline := _BASELINES.get(piece.mark):
                run.font._element.set("baseline", baseline)  # noqa: SLF001 (it has no other way)


def presentation(document: SampleDocument) -> bytes:
    """A PowerPoint file."""
    return _PptxWriter().write(document)
