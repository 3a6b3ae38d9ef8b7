"""Finds tables with rules around their cells on a PDF page."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.hyphens import LineJoiner
from dataset.conversion.pdf.lines import Line
from dataset.conversion.pdf.tables.table import Table, head_rows
from dataset.markdown.writer import escape

_TOUCH = 3.0
"""Points between two rules that still meet, and between two edges of one column."""
_MAX_RULES = 600
_MAX_LINES = 5
"""Mean lines in a cell of the only row: more are of columns of text in a frame."""


def with_ruled_tables(
    rules: Sequence[Box], lines: Sequence[Line], joiner: LineJoiner, before: Table | None
) -> list[Line | Table]:
    """Replace the lines within each grid of rules by a table."""
    items: list[Line | Table] = list(lines)
    for columns, rows in _grids(rules):
        items = _filled(items, columns, rows, joiner, before)
    return items


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
        if len(columns) > 1 and len(rows) > 1:
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
    items: Sequence[Line | Table],
    columns: list[float],
    rows: list[float],
    joiner: LineJoiner,
    before: Table | None,
) -> list[Line | Table]:
    """Replace the lines between the rules by a table, at the place of the first."""
    box = Box(columns[0], rows[0], columns[-1], rows[-1])
    cells = [["" for _ in columns[1:]] for _ in rows[1:]]
    lines: list[list[Line]] = [[] for _ in cells]
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
        lines[row].append(item)
        words = escape(item.text).strip()
        cells[row][column] = joiner.join(cells[row][column], words)
    filled = [row for row in cells if any(row)]
    first = all(isinstance(item, Line) and item.aside for item in kept[: max(place, 0)])
    continued = first and before is not None and _is_as_wide(before.box, box)
    several = any(sum(map(bool, row)) > 1 for row in filled)
    short = len(filled) > 1 or sum(map(len, lines)) <= _MAX_LINES * (len(columns) - 1)
    if place < 0 or (not continued and not (several and short)):
        return list(items)
    page = next(iter(filter(None, lines)))[0].page
    spans = list(pairwise(columns))
    kept.insert(place, Table(filled, spans, box, page, ruled=True, head=head_rows(lines)))
    return kept


def _is_as_wide(one: Box, other: Box) -> bool:
    return abs(one.left - other.left) < _TOUCH and abs(one.right - other.right) < _TOUCH
