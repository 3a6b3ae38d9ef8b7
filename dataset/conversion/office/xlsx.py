"""Converts Excel files: each sheet becomes a heading, each block of cells a table."""

import io
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from dataset.conversion.metadata import office_document
from dataset.conversion.office.charts import drawn_lines
from dataset.conversion.office.namespaces import R, S
from dataset.conversion.office.rich_cells import with_offsets
from dataset.conversion.office.stray_cells import without_gaps
from dataset.conversion.result import Converted
from dataset.conversion.zip_container import ZipContainer
from dataset.markdown.writer import check_table_size, escape, pipe_table, text_cell

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

Cell = int | float | str | bool | time | date | datetime | timedelta


_NUMERIC = re.compile(r"[-+.,:/%\s\d]*")


class _Copy(str):
    """The value of a merged cell, in a further row that it spans."""

    __slots__ = ()


def read_xlsx(content: bytes, _: str) -> Converted:
    """Convert an Excel file: the visible sheets, with the values last computed."""
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    container = ZipContainer(content, "xlsx")
    container.check_xml()
    parts = _sheet_parts(container)
    if changes := dict(_changed_parts(container)):
        content = container.xml_with(changes)
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    blocks: list[str] = []
    cells = 0
    for sheet in book.sheets_metadata:
        if sheet.visible != SheetVisibleEnum.Visible:
            continue
        found = book.get_sheet_by_name(sheet.name)
        rows: list[list[str]] = []
        for row in found.iter_rows():
            rows.append([_shown(cell) for cell in row])
            cells += sum(1 for cell in rows[-1] if cell)
            check_table_size(0, cells)
        _repeat_merged(rows, found)
        shown = [*_tables(rows), *_boxes(container, parts.get(sheet.name, ""))]
        if shown:
            blocks += [f"## {escape(' '.join(sheet.name.split()))}", *shown]
    return office_document(container, "\n\n".join(blocks) + "\n")


def _book(container: ZipContainer) -> str:
    """The name of the part that lists the sheets."""
    top = container.relationships("").values()
    return next((one.target for one in top if one.kind == "officeDocument"), "xl/workbook.xml")


def _sheet_parts(container: ZipContainer) -> dict[str, str]:
    """The name of each sheet's part, by the sheet's name."""
    book = _book(container)
    links = container.relationships(book)
    return {
        sheet.get("name", ""): links[identity].target
        for sheet in container.xml(book).iter(f"{S}sheet")
        if (identity := sheet.get(f"{R}id", "")) in links
    }


def _changed_parts(container: ZipContainer) -> Iterator[tuple[str, bytes]]:
    """Yield the parts that calamine would misread or need too much memory for, put right."""
    for part in container.relationships(_book(container)).values():
        if part.kind in ("worksheet", "sharedStrings") and part.target in container.names:
            content = original = container.read(part.target)
            if b"vertAlign" in content:
                content = with_offsets(container.xml(part.target))
            content = without_gaps(content) or content
            if content is not original:
                yield part.target, content


def _boxes(container: ZipContainer, part: str) -> Iterator[str]:
    """Yield the paragraphs in the text boxes and shapes of a sheet."""
    for link in container.relationships(part).values():
        if link.kind == "drawing" and link.target in container.names:
            yield from map(escape, drawn_lines(container.xml(link.target)))


def _repeat_merged(rows: Sequence[list[str]], sheet: "CalamineSheet") -> None:
    """Repeat the value of each merged cell in all rows that it spans."""
    left = sheet.start[1] if sheet.start else 0
    for (top, column), (bottom, _) in sheet.merged_cell_ranges or ():
        at = column - left
        if top < len(rows) and 0 <= at < len(rows[top]):
            for row in rows[top + 1 : bottom + 1]:
                row[at] = row[at] or _Copy(rows[top][at])


def _tables(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table per run of rows between empty ones, and single cells above it as text."""
    for filled, run in groupby(rows, any):
        if not filled:
            continue
        block = [row for row in run if not all(isinstance(cell, _Copy) for cell in row if cell)]
        while block and sum(1 for cell in block[0] if cell) == 1 and len(block[0]) > 1:
            yield next(cell for cell in block.pop(0) if cell).replace("<br>", " ")
        parts = list(_side_by_side(block))
        if len(parts) > 1:
            for part in parts:
                yield from _tables(part)
        elif block:
            check_table_size(len(parts[0][0]), 0)
            yield pipe_table(parts[0])


def _side_by_side(block: Sequence[Sequence[str]]) -> Iterator[list[list[str]]]:
    """Split a block at empty columns between two tables; drop the other empty columns."""
    filled = [any(row[at] for row in block) for at in range(len(block[0]))] if block else []
    columns: list[int] = []
    before: list[int] = []
    for is_filled, run in groupby(range(len(filled)), filled.__getitem__):
        if is_filled:
            beside = list(run)
            if before and _is_table(_part(block, before)) and _is_table(_part(block, beside)):
                yield _part(block, columns)
                columns = []
            columns += beside
            before = beside
    if columns:
        yield _part(block, columns)


def _part(block: Sequence[Sequence[str]], columns: Sequence[int]) -> list[list[str]]:
    return [[row[at] for at in columns] for row in block]


def _is_table(part: Sequence[Sequence[str]]) -> bool:
    """True if columns are a table of their own: full head, and rows that begin with their names."""
    rows = [row for row in part if any(row)]
    while rows and sum(1 for cell in rows[0] if cell) == 1:
        rows = rows[1:]  # a title
    return (
        len(rows) > 1 and all(rows[0]) and not all(_NUMERIC.fullmatch(row[0]) for row in rows[1:])
    )


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
