"""Replaces the lines of the tables on a PDF page by the tables."""

from collections.abc import Sequence
from itertools import groupby

from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.sheets import Sheet
from dataset.conversion.pdf.tables.aligned import with_aligned_tables
from dataset.conversion.pdf.tables.ruled import with_ruled_tables
from dataset.conversion.pdf.tables.table import Table


def add_page(
    items: list[Line | Table], sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner
) -> None:
    """Add a page's lines and tables; a table that continues the last one becomes a part of it."""
    before = _table_before(items, sheet)
    added = _with_tables(sheet, lines, joiner, before)
    first = next((item for item in added if not _is_aside(item)), None)
    if before and isinstance(first, Table) and before.is_continued_by(first):
        before.append(first)
        added.remove(first)
    items += added


def _is_aside(item: Line | Table) -> bool:
    return isinstance(item, Line) and item.aside


def _table_before(items: Sequence[Line | Table], sheet: Sheet) -> Table | None:
    """The table that ends the page before, low on it."""
    for item in reversed(items):
        if item.page != sheet.number - 1:
            break
        if isinstance(item, Table):
            return item if item.box.bottom < sheet.height / 2 else None
        if not item.aside:
            break
    return None


def _with_tables(
    sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner, before: Table | None
) -> list[Line | Table]:
    """A page's lines in order, with the lines of tables replaced by the tables."""
    found: list[Line | Table] = []
    for _, run in groupby(with_ruled_tables(sheet.rules, lines, joiner, before), type):
        items = list(run)
        lines = [item for item in items if isinstance(item, Line)]
        found += with_aligned_tables(lines, joiner) if lines else items
    return found
