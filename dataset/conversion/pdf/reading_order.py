"""Orders a PDF page's lines for reading."""

from collections.abc import Sequence
from itertools import pairwise

from dataset.conversion.pdf.lines import Line, is_level
from dataset.conversion.pdf.marks import with_marks
from dataset.conversion.pdf.sheets import Sheet

_SIDE_BY_SIDE = 5
"""Minimum rows of two wide pieces, for a page whose columns are drawn row by row."""
_WIDE = 0.2
_FULL = 0.75


def in_reading_order(sheet: Sheet, lines: Sequence[Line]) -> list[Line]:
    """A page's lines in reading order, the marks of lists joined with their items."""
    marked = with_marks(lines, sheet.rules)
    gutter = _gutter(marked, sheet.width)
    return _by_columns(marked, gutter) if gutter else marked


def _gutter(lines: Sequence[Line], width: float) -> float | None:
    """The middle of the gap between two columns that are drawn row by row; None without them."""
    pairs = [
        (one, other)
        for one, other in pairwise(lines)
        if is_level(one, other)
        and other.box.left > one.box.right
        and min(one.box.right - one.box.left, other.box.right - other.box.left) > _WIDE * width
    ]
    if len(pairs) < _SIDE_BY_SIDE or not all(map(_filled, zip(*pairs, strict=True))):
        return None
    left = max(one.box.right for one, _ in pairs)
    right = min(other.box.left for _, other in pairs)
    return (left + right) / 2 if left < right else None


def _filled(lines: Sequence[Line]) -> bool:
    """True if most lines are as wide as their column, as a table's cells are not."""
    widths = sorted(line.box.right - line.box.left for line in lines)
    return widths[len(widths) // 2] > _FULL * widths[-1]


def _by_columns(lines: Sequence[Line], gutter: float) -> list[Line]:
    """The left column, then the right one; a line across both splits the page."""
    ordered: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in sorted(lines, key=lambda one: -one.box.top):
        if line.box.left < gutter < line.box.right:
            ordered += [*left, *right, line]
            left, right = [], []
        else:
            (left if line.box.right <= gutter else right).append(line)
    return [*ordered, *left, *right]
