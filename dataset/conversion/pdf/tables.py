"""Finds tables on a PDF page: with rules around their cells, or only aligned in columns."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.sheets import Sheet
from dataset.markdown.writer import escape, pipe_table

_TOUCH = 3.0
"""Points between two rules that still meet, and between two edges of one column."""
_EDGE = 6.0
_MAX_RULES = 600
_MIN_ROWS = 3
_MAX_WORDS = 12
"""Mean words in a cell of a table without rules; columns of prose have more."""
_WIDEST = 0.45
"""Maximum width of a cell of a table without rules, as a share of the page's."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its area on the page."""

    markdown: str
    box: Box


def with_tables(sheet: Sheet, lines: Sequence[Line], joiner: LineJoiner) -> list[Line | Table]:
    """A page's lines in order, with the lines of tables replaced by the tables."""
    ruled: list[Line | Table] = list(lines)
    for columns, rows in _grids(sheet.rules):
        ruled = _filled(ruled, columns, rows, joiner)
    found: list[Line | Table] = []
    for _, run in groupby(ruled, type):
        items = list(run)
        lines = [item for item in items if isinstance(item, Line)]
        found += _aligned(lines, sheet.width) if lines else items
    return found


def _grids(rules: Sequence[Box]) -> Iterator[tuple[list[float], list[float]]]:
    """Yield the edges of columns and rows of each table with rules."""
    flat = {_rounded(rule) for rule in rules if rule.top - rule.bottom < _TOUCH}
    upright = {_rounded(rule) for rule in rules if rule.right - rule.left < _TOUCH}
    if not flat or not upright or len(flat) + len(upright) > _MAX_RULES:
        return
    groups: list[tuple[set[Box], set[Box]]] = []
    for one in sorted(flat, key=lambda rule: (rule.bottom, rule.left)):
        met = {other for other in upright if _meet(one, other)}
        joined = [group for group in groups if not met.isdisjoint(group[1])]
        flats = {one}.union(*(group[0] for group in joined))
        uprights = met.union(*(group[1] for group in joined))
        groups = [*(group for group in groups if group not in joined), (flats, uprights)]
    for flats, uprights in groups:
        columns = _distinct(rule.left for rule in uprights)
        rows = _distinct(rule.bottom for rule in flats)
        if len(columns) > 2 and len(rows) > 2:
            yield columns, rows


def _rounded(rule: Box) -> Box:
    return Box(*map(round, rule))


def _meet(flat: Box, upright: Box) -> bool:
    across = flat.left - _TOUCH <= upright.left <= flat.right + _TOUCH
    return across and upright.bottom - _TOUCH <= flat.bottom <= upright.top + _TOUCH


def _distinct(values: Iterable[float]) -> list[float]:
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > _TOUCH:
            found.append(value)
    return found


def _filled(
    items: Sequence[Line | Table], columns: list[float], rows: list[float], joiner: LineJoiner
) -> list[Line | Table]:
    """Replace the lines between the rules by a table, at the place of the first."""
    box = Box(columns[0], rows[0], columns[-1], rows[-1])
    cells = [["" for _ in columns[1:]] for _ in rows[1:]]
    kept: list[Line | Table] = []
    place = -1
    for item in items:
        x, y = (item.box.left + item.box.right) / 2, (item.box.bottom + item.box.top) / 2
        if isinstance(item, Table) or not box.has(x, y):
            kept.append(item)
            continue
        place = len(kept) if place < 0 else place
        row = len(rows) - 1 - bisect_right(rows, y, 1, len(rows) - 1)
        column = bisect_right(columns, x, 1, len(columns) - 1) - 1
        words = escape(item.text).strip()
        cells[row][column] = joiner.join(cells[row][column], words)
    filled = [row for row in cells if any(row)]
    if len(filled) < 2 or not any(sum(map(bool, row)) > 1 for row in filled):
        return list(items)
    kept.insert(place, Table(pipe_table(filled), box))
    return kept


def _aligned(lines: Sequence[Line], width: float) -> Iterator[Line | Table]:
    """Find rows of short pieces that are aligned below one another."""
    rows = list(_rows(lines))
    at = 0
    while at < len(rows):
        till = at + 1
        columns = _columns_of(rows[at], width)
        while columns and till < len(rows) and _fits(rows[till], rows[till - 1], columns, width):
            till += 1
        cells = [line for row in rows[at:till] for line in row]
        words = sum(len(line.text.split()) for line in cells)
        if till - at >= _MIN_ROWS and words < _MAX_WORDS * len(cells):
            yield _table(rows[at:till], columns)
        else:
            till = at + 1
            yield from rows[at]
        at = till


def _rows(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield neighbours at the same height."""
    row: list[Line] = []
    for line in lines:
        if row and not _is_beside(row[-1], line):
            yield row
            row = []
        row.append(line)
    if row:
        yield row


def _is_beside(one: Line, other: Line) -> bool:
    return abs(one.box.bottom - other.box.bottom) < one.size / 2 and other.box.left > one.box.right


def _columns_of(row: Sequence[Line], width: float) -> list[Box]:
    marked = len(row[0].text.strip()) < 2
    prose = marked or len(row) < 2 or any(line.code for line in row) or not _narrow(row, width)
    return [] if prose else [line.box for line in row]


def _fits(row: Sequence[Line], above: Sequence[Line], columns: list[Box], width: float) -> bool:
    if not 2 <= len(row) <= len(columns) or not _narrow(row, width):
        return False
    near = above[0].box.bottom - row[0].box.top < 2 * row[0].size
    places = [_column(line.box, columns) for line in row]
    return near and places[0] >= 0 and all(one < other for one, other in pairwise(places))


def _narrow(row: Sequence[Line], width: float) -> bool:
    return all(line.box.right - line.box.left < _WIDEST * width for line in row)


def _column(box: Box, columns: Sequence[Box]) -> int:
    """The column whose left edge, right edge or middle a cell is aligned with; -1 for none."""
    for at, column in enumerate(columns):
        middle = abs(box.left + box.right - column.left - column.right) / 2
        if min(abs(box.left - column.left), abs(box.right - column.right), middle) < _EDGE:
            return at
    return -1


def _table(block: Sequence[Sequence[Line]], columns: Sequence[Box]) -> Table:
    grid = [["" for _ in columns] for _ in block]
    for row, lines in zip(grid, block, strict=True):
        for line in lines:
            row[_column(line.box, columns)] = escape(line.text).strip()
    return Table(pipe_table(grid), Box.around([line.box for row in block for line in row]))
