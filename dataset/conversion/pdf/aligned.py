"""Finds tables without rules on a PDF page: rows of pieces that are aligned in columns."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from math import inf
from operator import or_
from statistics import median

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.markdown.writer import escape

_MIN_ROWS = 3
_MAX_COLUMNS = 50
_MAX_CELL_LINES = 20
_MAX_PITCH = 4.0
"""Of the font size: the distance between two rows of a table."""
_MAX_LEADING = 1.4
"""Of the font size: the distance between two lines of a cell."""
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
_Columns = list[tuple[float, float]]


@dataclass(slots=True)
class Region:
    """Rows of a page whose pieces are in the same columns."""

    rows: list[_Row]
    columns: _Columns
    by_columns: bool = False
    """True if the page draws one column after the other."""

    @property
    def lines(self) -> list[Line]:
        """All its lines, row by row."""
        return [line for row in self.rows for line in row]

    def by_column(self) -> list[_Row]:
        """The lines of each column."""
        found: list[_Row] = [[] for _ in self.columns]
        for line in self.lines:
            found[_column(line.box, self.columns)].append(line)
        return found


def regions_of(lines: Sequence[Line]) -> Iterator[Region]:
    """Yield the regions of a page with several columns, from top to bottom.

    Args:
        lines: In the order in which the page draws them.
    """
    place = {id(line): at for at, line in enumerate(lines)}
    ordered = sorted(lines, key=lambda line: -line.box.bottom)
    rows = [sorted(row, key=lambda line: line.box.left) for row in _level_rows(ordered)]
    at = above = 0
    while at < len(rows):
        region = _region(rows, at)
        end = at + max(len(region.rows), 1)
        if len(region.rows) >= _MIN_ROWS:
            yield from _drawn_apart(_with_head(region, rows[above:at]), place)
            above = end
        at = end


def _drawn_apart(region: Region, place: Mapping[int, int]) -> Iterator[Region]:
    """Yield the groups of columns that the page draws one after the other."""
    columns = region.by_column()
    if not all(columns):  # a piece without width is within another
        return
    first = [min(place[id(line)] for line in column) for column in columns]
    last = [max(place[id(line)] for line in column) for column in columns]
    breaks = [
        at for at in range(1, len(columns))
        if max(last[:at]) < min(first[at:]) or max(last[at:]) < min(first[:at])
    ]  # fmt: skip
    region.by_columns = len(breaks) == len(columns) - 1
    if not breaks or region.by_columns:
        yield region
        return
    for start, end in pairwise([0, *breaks, len(columns)]):
        within = {id(line) for column in columns[start:end] for line in column}
        rows = [[line for line in row if id(line) in within] for row in region.rows]
        yield Region([row for row in rows if row], region.columns[start:end])


def _level_rows(lines: Sequence[Line]) -> Iterator[_Row]:
    row: _Row = []
    for line in lines:
        if row and row[0].box.bottom - line.box.bottom > min(row[0].size, line.size) / 2:
            yield row
            row = []
        row.append(line)
    if row:
        yield row


def _region(rows: Sequence[_Row], start: int) -> Region:
    """The rows from one on, as far as they are in the same columns."""
    taken: list[_Row] = []
    columns: _Columns = []
    waiting: list[_Row] = []
    for row in rows[start:]:
        last = (waiting or taken)[-1] if taken else None
        pitch = _pitch(last, row) if last else 0.0
        wider = _with_row(columns, row) or _with_row(_merged(columns, taken), row)
        if not wider or pitch > _MAX_PITCH * row[0].size or any(map(_is_other, row)):
            break
        columns = wider
        further = pitch < _MAX_LEADING * row[0].size and not waiting
        if len(row) > 1 or (further and _column(row[0].box, columns) > 0):
            taken += [*waiting, row]
            waiting = []
        elif taken and len(waiting) < _MAX_CELL_LINES:
            # One piece is the first line of a cell if a full row follows, or else a paragraph.
            waiting.append(row)
        else:
            break
    return Region(taken, _merged(columns, taken))


def _is_other(line: Line) -> bool:
    return line.code or line.field


def _with_head(region: Region, above: Sequence[_Row]) -> Region:
    """A region with the upper lines of its head; one in the first column may be of a paragraph."""
    for row in reversed(above):
        columns = _with_row(region.columns, row)
        most = 1 if columns and _is_first(row, columns) else _MAX_LEADING
        near = _pitch(row, region.rows[0]) <= most * row[0].size
        if not near or len(columns) != len(region.columns):
            break
        region = Region([row, *region.rows], columns)
    return region


def _pitch(above: _Row, row: _Row) -> float:
    return above[0].box.bottom - row[0].box.bottom


def _with_row(columns: _Columns, row: _Row) -> _Columns:
    """The columns with those of one more row; none if a piece is in several, or two in one."""
    found = list(columns)
    used: set[int] = set()
    for line in row:
        met = [at for at, (left, right) in enumerate(found)
               if line.box.left < right and line.box.right > left]  # fmt: skip
        if len(met) > 1 or not used.isdisjoint(met) or (len(row) == 1 and not met):
            return []
        if met:
            left, right = found[met[0]]
            found[met[0]] = min(left, line.box.left), max(right, line.box.right)
        else:
            met = [len(found)]
            found.append((line.box.left, line.box.right))
        used.update(met)
    return sorted(found) if len(found) < _MAX_COLUMNS else []


def _merged(columns: _Columns, rows: Sequence[_Row]) -> _Columns:
    """Merge neighbours that no row has both of: a head and its numbers, aligned otherwise."""
    merged = list(columns)
    filled = [{_column(line.box, columns) for line in row} for row in rows]
    for at in range(len(columns) - 1, 0, -1):
        if not any({at - 1, at} <= places for places in filled):
            merged[at - 1 : at + 1] = [(merged[at - 1][0], merged[at][1])]
            filled = [{place - (place >= at) for place in places} for places in filled]
    return merged


def _column(box: Box, columns: _Columns) -> int:
    """The column that a piece is in."""
    middle = (box.left + box.right) / 2
    return max(bisect_right(columns, (middle, inf)) - 1, 0)


def is_prose(region: Region) -> bool:
    """True if the columns are those of a text that is drawn line by line across them."""
    full = [
        median(len(line.text.split()) for line in column) >= _PROSE_WORDS
        and median(line.box.right - line.box.left for line in column) > _FILLED * (right - left)
        for column, (left, right) in zip(region.by_column(), region.columns, strict=True)
    ]
    return all(full) and len(region.rows) >= _MIN_PROSE_ROWS


def is_table(region: Region) -> bool:
    """True if a region's pieces are cells."""
    columns = region.by_column()
    words = sum(len(line.text.split()) for line in region.lines)
    most = _MAX_WORDS_DRAWN_BY_COLUMN if region.by_columns else _MAX_WORDS
    full = sum(1 for rows in _cell_rows(region) if _fills_several(rows, region.columns))
    if full < _MIN_ROWS or words >= most * len(region.lines) or is_prose(region):
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
    pitch = median(_pitch(above, row) for above, row in pairwise(region.rows))
    return full >= _FULL * len(region.rows) and pitch > _MAX_LEADING * region.rows[0][0].size


def _fills_several(rows: Sequence[_Row], columns: _Columns) -> bool:
    return len({_column(line.box, columns) for row in rows for line in row}) > 1


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


def cells_of(region: Region, joiner: LineJoiner) -> list[list[str]]:
    """The rows of a table, in which the lines of a cell are joined."""
    written: list[list[str]] = []
    for rows in _cell_rows(region):
        cells = ["" for _ in region.columns]
        for row in rows:
            for line in row:
                at = _column(line.box, region.columns)
                cells[at] = joiner.join(cells[at], escape(line.text).strip())
        written.append(cells)
    return written


def _cell_rows(region: Region) -> Iterator[list[_Row]]:
    """Yield the lines of each row of cells, by their distances and by the first column."""
    pitches = [_pitch(above, row) for above, row in pairwise(region.rows)]
    size = median(line.size for line in region.lines)
    starts = [True]
    for row, pitch in zip(region.rows[1:], pitches, strict=True):
        near = pitch < _MAX_LEADING * size
        tighter = pitch * _WIDER < max(pitches)
        first = _is_first(row, region.columns)
        sparse = len(row) < len(region.columns) - 1
        starts.append(not near or not (tighter or (not first and sparse)))
    numbered = groupby(zip(accumulate(starts), region.rows, strict=True), lambda one: one[0])
    groups = [[row for _, row in group] for _, group in numbered]
    lines = [sum(_is_first(row, region.columns) for row in group) for group in groups]
    head = len(groups) > _MIN_ROWS - 1 and max(lines[1:]) == 1
    for at, group in enumerate(groups):
        if at == 0 and head:
            yield group
        else:
            yield from _split_at_first_column(group, region.columns)


def _is_first(row: _Row, columns: _Columns) -> bool:
    return _column(row[0].box, columns) == 0


def _split_at_first_column(rows: list[_Row], columns: _Columns) -> Iterator[list[_Row]]:
    """Yield one row of cells for each line in the first column, or all rows without any."""
    taken: list[_Row] = []
    has_first = False
    for row in rows:
        first = _is_first(row, columns)
        if first and has_first:
            yield taken
            taken = []
        has_first = has_first or first
        taken.append(row)
    yield taken
