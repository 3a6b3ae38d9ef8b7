"""Replaces the lines of the tables on a PDF page by the tables."""

from collections.abc import Sequence
from itertools import groupby, takewhile

from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line, level_rows
from dataset.conversion.pdf.sheets import Sheet
from dataset.conversion.pdf.tables.aligned import in_columns_of, with_aligned_tables
from dataset.conversion.pdf.tables.regions import MIN_ROWS
from dataset.conversion.pdf.tables.ruled import with_ruled_tables
from dataset.conversion.pdf.tables.table import Table, continues


def add_page(
    items: list[Line | Table], sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner
) -> None:
    """Add a page's lines and tables; a table that continues the last one becomes a part of it."""
    before = _open_table(items, sheet)
    added = _with_tables(sheet, lines, joiner, before)
    first = next((item for item in added if not _is_aside(item)), None)
    if isinstance(first, Table):
        before = before or _begun(items, sheet, first, joiner)
        if before and continues(first, before):
            before.append(first)
            added.remove(first)
    items += added


def _begun(
    items: list[Line | Table], sheet: Sheet, part: Table, joiner: LineJoiner
) -> Table | None:
    """Replace the lines low on the page before by the table of few rows that a part continues."""
    lines: list[Line] = []
    for item in reversed(items):
        if isinstance(item, Table) or item.page != sheet.number - 1:
            break
        if not item.aside:
            lines.append(item)
    last = takewhile(lambda row: len(row) > 1, level_rows(lines)[:-MIN_ROWS:-1])
    rows = list(last)[::-1]
    table = in_columns_of(part, rows, joiner) if rows and not part.ruled else None
    if not table or table.box.bottom > sheet.height / 2 or not continues(part, table):
        return None
    first, *others = (line for row in rows for line in row)
    items[items.index(first)] = table
    for line in others:
        items.remove(line)
    return table


def _is_aside(item: Line | Table) -> bool:
    return isinstance(item, Line) and item.aside


def _open_table(items: Sequence[Line | Table], sheet: Sheet) -> Table | None:
    """The table that ends the page before, low on it."""
    last = next((item for item in reversed(items) if not _is_aside(item)), None)
    if not isinstance(last, Table) or last.page != sheet.number - 1:
        return None
    return last if last.box.bottom < sheet.height / 2 else None


def _with_tables(
    sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner, before: Table | None
) -> list[Line | Table]:
    """A page's lines in order, with the lines of tables replaced by the tables."""
    found: list[Line | Table] = []
    for _, run in groupby(with_ruled_tables(sheet.rules, lines, joiner, before), type):
        items = list(run)
        lines = [item for item in items if isinstance(item, Line)]
        top = before if all(map(_is_aside, found)) else None
        found += with_aligned_tables(lines, joiner, top) if lines else items
    return found
