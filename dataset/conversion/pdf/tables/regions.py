"""Finds the regions of a PDF page with several columns: rows of pieces that are aligned."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line, level_rows

MIN_ROWS = 3
_MAX_COLUMNS = 50
_MAX_CELL_LINES = 20
_MAX_PITCH = 4.0
"""Of the font size: the distance between two rows of a table."""
MAX_LEADING = 1.4
"""Of the font size: the distance between two lines of a cell."""

Columns = list[tuple[float, float]]
_Row = list[Line]


@dataclass(slots=True)
class Region:
    """Rows of a page whose pieces are in the same columns."""

    rows: list[_Row]
    columns: Columns
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
            found[column_of(line.box, self.columns)].append(line)
        return found


def regions_of(lines: Sequence[Line]) -> Iterator[Region]:
    """Yield the regions of a page with several columns, from top to bottom.

    Args:
        lines: In the order in which the page draws them.
    """
    place = {id(line): at for at, line in enumerate(lines)}
    rows = level_rows(lines)
    at = above = 0
    while at < len(rows):
        region = _region(rows, at)
        end = at + max(len(region.rows), 1)
        if len(region.rows) >= MIN_ROWS:
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


def _region(rows: Sequence[_Row], start: int) -> Region:
    """The rows from one on, as far as they are in the same columns."""
    taken: list[_Row] = []
    columns: Columns = []
    waiting: list[_Row] = []
    for row in rows[start:]:
        last = (waiting or taken)[-1] if taken else None
        pitch = pitch_of(last, row) if last else 0.0
        wider = _with_row(columns, row) or _with_row(_merged(columns, taken), row)
        if not wider or pitch > _MAX_PITCH * row[0].size or any(map(_is_other, row)):
            break
        columns = wider
        further = pitch < MAX_LEADING * row[0].size and not waiting
        if len(row) > 1 or (further and column_of(row[0].box, columns) > 0):
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
        most = 1 if columns and is_first(row, columns) else MAX_LEADING
        near = pitch_of(row, region.rows[0]) <= most * row[0].size
        if not near or len(columns) != len(region.columns):
            break
        region = Region([row, *region.rows], columns)
    return region


def pitch_of(above: _Row, row: _Row) -> float:
    """How far a row is below another."""
    return above[0].box.bottom - row[0].box.bottom


def _with_row(columns: Columns, row: _Row) -> Columns:
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


def _merged(columns: Columns, rows: Sequence[_Row]) -> Columns:
    """Merge neighbours that no row has both of: a head and its numbers, aligned otherwise."""
    merged = list(columns)
    filled = [{column_of(line.box, columns) for line in row} for row in rows]
    for at in range(len(columns) - 1, 0, -1):
        if not any({at - 1, at} <= places for places in filled):
            merged[at - 1 : at + 1] = [(merged[at - 1][0], merged[at][1])]
            filled = [{place - (place >= at) for place in places} for places in filled]
    return merged


def column_of(box: Box, columns: Columns) -> int:
    """The column that a piece is in."""
    middle = (box.left + box.right) / 2
    return max(bisect_right(columns, (middle, inf)) - 1, 0)


def is_first(row: _Row, columns: Columns) -> bool:
    """True if a row has a piece in the first column."""
    return column_of(row[0].box, columns) == 0
