"""Writes a sample document as a PDF with ReportLab."""
# The library that makes the files ships no types.
# mypy: disable-error-code="import-untyped"

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from pypdfium2 import PdfDocument
from reportlab import platypus
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from tests.files.documents.model import (
    ADDRESS,
    ALL_FEATURES,
    UNSEEN,
    Block,
    CodeBlock,
    Grid,
    Heading,
    Item,
    Line,
    Listing,
    Paragraph,
    Piece,
    SampleDocument,
)
from tests.files.pdf import pdf_of

FEATURES = ALL_FEATURES - {"noted number"}
_FONTS = {"Sans": "DejaVuSans", "Sans-Bold": "DejaVuSans-Bold", "Sans-Italic": "DejaVuSans-Oblique",
          "Mono": "DejaVuSansMono"}  # fmt: skip
_JAPANESE = "HeiseiMin-W3"
_WIDE = re.compile(r"[\u2e80-\u9fff]+")
_MARKS = {
    "emphasis": "<i>{}</i>",
    "strong": "<b>{}</b>",
    "code": '<font name="Mono">{}</font>',
    "link": f'<a href="{ADDRESS}">{{}}</a>',
    "superscript": "<super>{}</super>",
    "subscript": "<sub>{}</sub>",
}
_MIN_PAGES = 3
"""With a line at the same place: on fewer pages it may be of the text, and is read."""
_SIZES = {1: 22, 2: 17, 3: 14, 4: 12}
_LISTS: dict[bool, dict[str, str]] = {
    False: {"bulletType": "bullet", "start": "•"},
    True: {"bulletType": "1", "bulletFormat": "%s."},
}
_RULES = [("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("VALIGN", (0, 0), (-1, -1), "TOP")]


def pdf_file(document: SampleDocument, *, columns: int = 1) -> bytes:
    """A PDF of pages with the notes at its end, and a running foot where enough pages prove it."""
    file = _of_pages(document, columns, UNSEEN)
    with PdfDocument(file) as read:
        return file if len(read) >= _MIN_PAGES else _of_pages(document, columns, "")


def _of_pages(document: SampleDocument, columns: int, running: str) -> bytes:
    _register_fonts()
    flow = [_flowable(block) for block in document.blocks]
    for at, note in enumerate(document.notes, start=1):
        flow.append(_paragraph((Piece(str(at), "superscript"), *note), 7))
    # Uncompressed, so that damage reaches what the pages draw.
    return pdf_of(*flow, columns=columns, running=running, pageCompression=0)


def two_columns(document: SampleDocument) -> bytes:
    """A PDF of pages with two columns."""
    return pdf_file(document, columns=2)


def _register_fonts() -> None:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in _FONTS.items():
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{file}.ttf")))
    pdfmetrics.registerFontFamily("Sans", "Sans", "Sans-Bold", "Sans-Italic", "Sans-Bold")
    pdfmetrics.registerFont(UnicodeCIDFont(_JAPANESE))


def _flowable(block: Block) -> platypus.Flowable:
    match block:
        case Heading(level=level, line=line):
            return _paragraph(line, _SIZES[level])
        case Paragraph(line=line, quoted=quoted):
            return _paragraph(line, leftIndent=30 if quoted else 0)
        case CodeBlock(lines=lines):
            text = "\n".join(_in_fonts(line) for line in lines)
            return platypus.XPreformatted(
                text, ParagraphStyle("code", fontName="Mono", spaceAfter=8)
            )
        case Listing(items=items, numbered=numbered):
            return _list(items, numbered)
        case Grid():
            return _table(block)
    raise AssertionError(block)


def _list(items: tuple[Item, ...], numbered: bool) -> platypus.Flowable:
    entries = [
        platypus.ListItem(
            [_paragraph(item.line), *([_list(item.items, numbered)] if item.items else [])]
        )
        for item in items
    ]
    return platypus.ListFlowable(entries, **_LISTS[numbered])


def _table(grid: Grid) -> platypus.Flowable:
    columns = sum(cell.columns for cell in grid.rows[0])
    shown: list[list[Any]] = [[""] * columns for _ in grid.rows]
    rules = list(_RULES)
    hanging: set[tuple[int, int]] = set()
    for down, row in enumerate(grid.rows):
        across = 0
        for cell in row:
            while (down, across) in hanging:
                across += 1
            shown[down][across] = _paragraph(cell.line, 8)
            last = (across + cell.columns - 1, down + cell.rows - 1)
            rules.append(("SPAN", (across, down), last))
            hanging |= {(down + below, across) for below in range(1, cell.rows)}
            across += cell.columns
    return platypus.Table(shown, style=rules, spaceAfter=10)


def _paragraph(line: Line, size: float = 10, **options: Any) -> platypus.Paragraph:
    style = ParagraphStyle(
        "text",
        fontName="Sans-Bold" if size > 10 else "Sans",
        fontSize=size,
        leading=1.25 * size,
        spaceAfter=0.8 * size,
        splitLongWords=0,
        **options,
    )
    return platypus.Paragraph("".join(_pieces(line)), style)


def _pieces(line: Line) -> Iterator[str]:
    for at, piece in enumerate(line):
        yield "" if piece.glued or not at else " "
        yield _MARKS.get(piece.mark, "{}").format(_in_fonts(piece.text))
        yield f"<super>{piece.note}</super>" if piece.note else ""


def _in_fonts(text: str) -> str:
    """A text as markup, with the characters that the other fonts lack in a font that has them."""
    return _WIDE.sub(rf'<font name="{_JAPANESE}">\g<0></font>', escape(text, quote=False))
