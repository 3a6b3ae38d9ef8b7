"""Finds tables without rules on a PDF page, and the columns of its prose."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from operator import or_
from statistics import median

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.tables.regions import (
    MAX_LEADING,
    MIN_ROWS,
    Columns,
    Region,
    column_of,
    is_first,
    pitch_of,
    regions_of,
)
from dataset.conversion.pdf.tables.table import Table, head_rows
from dataset.markdown.writer import escape

_WIDER = 1.15
"""How many times the distance of a cell's lines that of rows is at least."""
_MAX_WORDS = 12
"""Mean words in a line of a cell."""
_MAX_WORDS_DRAWN_BY_COLUMN = 4
_MIN_PROSE_ROWS = 5
_PROSE_WORDS = 4
_EDGE = 3.0
"""Points between two edges that are aligned."""
_FILLED = 0.6
"""Of its column's width: what most lines of prose have at least."""
_FULL = 0.8
"""Share of the rows that have all cells, in a table drawn column by column."""
_LIST_MARK = re.compile(r"\W(?:\s|$)")
_QUANTITY = re.compile(r"\W*\d[\d.,:/-]*\s?(?:[^\W\d]{0,4}|\W)")

_Row = list[Line]


def with_aligned_tables(lines: Sequence[Line], joiner: LineJoiner) -> list[Line | Table]:
    """Replace pieces that are aligned in columns by a table, at the place of the first."""
    text = [line for line in lines if not line.aside]
    place = {id(line): at for at, line in enumerate(text)}
    replaced: dict[int, Sequence[Line | Table]] = {}
    taken: set[int] = set()
    for region in regions_of(text):
        if _is_table(region):
            shown: Sequence[Line | Table] = [_table_of(region, joiner)]
        elif _is_prose(region) and not region.by_columns:
            shown = [line for column in region.by_column() for line in column]
        else:
            continue
        within = {id(line) for line in region.lines}
        replaced[min(within, key=place.__getitem__)] = shown
        taken |= within
    kept: list[Line | Table] = []
    for line in lines:
        if id(line) in replaced:
            kept += replaced[id(line)]
        elif id(line) not in taken:
            kept.append(line)
    return kept


def _is_prose(region: Region) -> bool:
    """True if the columns are those of a text that is drawn line by line across them."""
    full = [
        median(len(line.text.split()) for line in column) >= _PROSE_WORDS
        and median(line.box.right - line.box.left for line in column) > _FILLED * (right - left)
        for column, (left, right) in zip(region.by_column(), region.columns, strict=True)
    ]
    return all(full) and len(region.rows) >= _MIN_PROSE_ROWS


def _is_table(region: Region) -> bool:
    """True if a region's pieces are cells."""
    columns = region.by_column()
    words = sum(len(line.text.split()) for line in region.lines)
    most = _MAX_WORDS_DRAWN_BY_COLUMN if region.by_columns else _MAX_WORDS
    full = sum(1 for rows in _cell_rows(region) if _fills_several(rows, region.columns))
    if full < MIN_ROWS or words >= most * len(region.lines) or _is_prose(region):
        return False
    marks = sum(1 for line in columns[0] if _LIST_MARK.match(line.text))
    quantities = [_holds_quantities(column) for column in columns]
    straight = map(_is_straight, columns)
    if marks > len(columns[0]) / 2 or not all(map(or_, quantities, straight)):
        return False
    numbers = any(quantities) and not quantities[0]
    return not region.by_columns or numbers or _is_level_and_wide(region)


def _is_level_and_wide(region: Region) -> bool:
    """True if nearly all rows are full and farther apart than the lines of a text."""
    full = sum(len(row) == len(region.columns) for row in region.rows)
    pitch = median(pitch_of(above, row) for above, row in pairwise(region.rows))
    return full >= _FULL * len(region.rows) and pitch > MAX_LEADING * region.rows[0][0].size


def _fills_several(rows: Sequence[_Row], columns: Columns) -> bool:
    return len({column_of(line.box, columns) for row in rows for line in row}) > 1


def _is_straight(column: _Row) -> bool:
    """True if most pieces are aligned, unlike the words of a line that is stretched."""
    edges = (
        Counter(round((line.box.left + share * (line.box.right - line.box.left)) / _EDGE)
                for line in column)
        for share in (0, 0.5, 1)
    )  # fmt: skip
    return any(2 * max(counts.values()) >= len(column) for counts in edges)


def _holds_quantities(column: _Row) -> bool:
    cells = column[1:]
    found = sum(1 for line in cells if _QUANTITY.fullmatch(line.text.strip()))
    return len(cells) > 0 and found > len(cells) / 2


def _table_of(region: Region, joiner: LineJoiner) -> Table:
    rows = [[line for row in rows for line in row] for rows in _cell_rows(region)]
    cells = [_cells_of(row, region.columns, joiner) for row in rows]
    box, page = Box.around([line.box for line in region.lines]), rows[0][0].page
    return Table(cells, region.columns, box, page, ruled=False, head=head_rows(rows))


def _cells_of(row: _Row, columns: Columns, joiner: LineJoiner) -> list[str]:
    """The cells of a row, in which the lines of a cell are joined."""
    cells = ["" for _ in columns]
    for line in row:
        at = column_of(line.box, columns)
        cells[at] = joiner.join(cells[at], escape(line.text).strip())
    return cells


def _cell_rows(region: Region) -> Iterator[list[_Row]]:
    """Yield the lines of each row of cells, by their distances and by the first column."""
    pitches = [pitch_of(above, row) for above, row in pairwise(region.rows)]
    size = median(line.size for line in region.lines)
    starts = [True]
    for row, pitch in zip(region.rows[1:], pitches, strict=True):
        near = pitch < MAX_LEADING * size
        tighter = pitch * _WIDER < max(pitches)
        first = is_first(row, region.columns)
        sparse = len(row) < len(region.columns) - 1
        starts.append(not near or not (tighter or (not first and sparse)))
    numbered = groupby(zip(accumulate(starts), region.rows, strict=True), lambda one: one[0])
    groups = [[row for _, row in group] for _, group in numbered]
    lines = [sum(is_first(row, region.columns) for row in group) for group in groups]
    head = len(groups) > MIN_ROWS - 1 and max(lines[1:]) == 1
    for at, group in enumerate(groups):
        if at == 0 and head:
            yield group
        else:
            yield from _split_at_first_column(group, region.columns)


def _split_at_first_column(rows: list[_Row], columns: Columns) -> Iterator[list[_Row]]:
    """Yield one row of cells for each line in the first column, or all rows without any."""
    taken: list[_Row] = []
    has_first = False
    for row in rows:
        first = is_first(row, columns)
        if first and has_first:
            yield taken
            taken = []
        has_first = has_first or first
        taken.append(row)
    yield taken
