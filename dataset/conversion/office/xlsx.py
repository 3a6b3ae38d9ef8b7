"""Converts Excel files: each sheet becomes a heading, each block of cells a table."""

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby

from dataset.conversion.metadata import office_document
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.markdown.writer import check_table_size, escape, pipe_table, text_cell

Cell = int | float | str | bool | time | date | datetime | timedelta


def read_xlsx(content: bytes, _: str) -> Converted:
    """Convert an Excel file: the visible sheets, with the values last computed."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    container = ZipContainer(content, "xlsx")
    container.check_xml()
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    blocks: list[str] = []
    cells = 0
    for sheet in book.sheets_metadata:
        if sheet.visible != SheetVisibleEnum.Visible:
            continue
        found = book.get_sheet_by_name(sheet.name)
        check_table_size(found.width, cells)
        rows: list[list[str]] = []
        for row in found.iter_rows():
            rows.append([_shown(cell) for cell in row])
            cells += sum(1 for cell in rows[-1] if cell)
            check_table_size(found.width, cells)
        tables = list(_tables(rows))
        if tables:
            blocks += [f"## {escape(' '.join(sheet.name.split()))}", *tables]
    return office_document(container, "\n\n".join(blocks) + "\n")


def _tables(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table per run of rows between empty ones, and single cells above it as text."""
    for filled, run in groupby(rows, any):
        if not filled:
            continue
        block = list(run)
        while block and sum(1 for cell in block[0] if cell) == 1 and len(block[0]) > 1:
            yield next(cell for cell in block.pop(0) if cell).replace("<br>", " ")
        if block:
            first = min(next(at for at, cell in enumerate(row) if cell) for row in block)
            yield pipe_table([row[first:] for row in block])


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return text_cell(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float):
        return f"{cell + 0:.15g}"  # + 0: without the sign of a negative zero
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ", timespec="minutes" if not cell.second else "seconds")
    return str(cell)
