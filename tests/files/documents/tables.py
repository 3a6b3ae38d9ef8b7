"""Writes a sample document as the rows of an Excel file, CSV or TSV."""
# The library that makes the files ships no types.
# mypy: disable-error-code="import-untyped"

import csv
import io
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from openpyxl import Workbook
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont

from tests.files.documents.model import UNSEEN, Cell, Feature, Grid, Line, SampleDocument
from tests.files.office import saved

EXCEL_FEATURES: frozenset[Feature] = frozenset(
    ("strong", "emphasis", "raised", "lowered", "split word", "table", "merged cells")
)
DELIMITED_FEATURES: frozenset[Feature] = frozenset(("table",))
_BLOCKS_PER_SHEET = 8
_FORMATS: tuple[tuple[str, str], ...] = (
    (r"-?\d+|0\.\d+", "General"),
    (r"(\d+)%", "0%"),
    (r"€\d+", '"€"#,##0'),
    (r"\$\d+", '"$"#,##0'),
    (r"\d{1,3},\d{3}\.\d\d", "#,##0.00"),
)
"""Texts that are numbers in Excel, and the formats in which it shows them so."""
_FONTS = {
    "strong": InlineFont(b=True),
    "emphasis": InlineFont(i=True),
    "superscript": InlineFont(vertAlign="superscript"),
    "subscript": InlineFont(vertAlign="subscript"),
}


def excel_file(document: SampleDocument) -> bytes:
    """An Excel file of several sheets, with an empty row between two blocks."""
    book = Workbook()
    sheet = book.active
    at = 1
    for number, block in enumerate(document.blocks):
        if number and number % _BLOCKS_PER_SHEET == 0:
            sheet, at = book.create_sheet(), 1
        at = _write_rows(sheet, at, _rows(block)) + 1
    hidden = book.create_sheet(UNSEEN)
    hidden["A1"], hidden.sheet_state = UNSEEN, "hidden"
    return saved(book)


def _rows(block: Any) -> tuple[tuple[Cell, ...], ...]:
    return block.rows if isinstance(block, Grid) else ((Cell(block.line),),)


def _write_rows(sheet: Any, at: int, rows: tuple[tuple[Cell, ...], ...]) -> int:
    hanging: set[tuple[int, int]] = set()
    for down, row in enumerate(rows, start=at):
        across = 1
        for cell in row:
            while (down, across) in hanging:
                across += 1
            _fill(sheet.cell(down, across), cell.line)
            if cell.columns + cell.rows > 2:
                last = {"end_row": down + cell.rows - 1, "end_column": across + cell.columns - 1}
                sheet.merge_cells(start_row=down, start_column=across, **last)
            hanging |= {(down + below, across) for below in range(1, cell.rows)}
            across += cell.columns
    return at + len(rows)


def _fill(place: Any, line: Line) -> None:
    if any(piece.mark != "plain" for piece in line):
        place.value = CellRichText(*_runs(line))
    elif text := _text(line):
        _fill_plain(place, text)


def _fill_plain(place: Any, text: str) -> None:
    for pattern, shown in _FORMATS:
        if re.fullmatch(pattern, text):
            number = float(re.sub(r"[^\d.-]", "", text))
            place.value = number / 100 if shown == "0%" else number
            place.number_format = shown
            return
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        place.value = date.fromisoformat(text)
    else:
        place.value = text
        place.data_type = "s"  # not a formula, whatever its first character


def _runs(line: Line) -> Iterator[str | TextBlock]:
    for at, piece in enumerate(line):
        text = piece.text if piece.glued or not at else f" {piece.text}"
        yield TextBlock(_FONTS[piece.mark], text) if piece.mark in _FONTS else text


def _text(line: Line, space: str = " ") -> str:
    return "".join(
        piece.text if piece.glued or not at else space + piece.text for at, piece in enumerate(line)
    )


def csv_file(document: SampleDocument, delimiter: str = ",") -> bytes:
    """Rows of the same width; cells of several lines, and a byte order mark as Excel writes it."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    rows = [
        [_text(cell.line, "\n") for cell in row]
        for block in document.blocks
        for row in _rows(block)
    ]
    width = max(map(len, rows))
    writer.writerows([*row, *[""] * (width - len(row))] for row in rows)
    return file.getvalue().encode("utf-8-sig")


def semicolon_file(document: SampleDocument) -> bytes:
    """What Excel saves as CSV in countries with a decimal comma."""
    return csv_file(document, ";")


def tsv_file(document: SampleDocument) -> bytes:
    """A file with tabs between its cells."""
    return csv_file(document, "\t")
