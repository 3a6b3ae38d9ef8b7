"""Orders a PDF page's lines for reading, without running heads and page numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line, Sheet, TextRun

_MARGIN = 0.1
"""Share of a page's height that running heads and page numbers use."""
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page |seite |p\. ?)?(?:\d{1,4}|[ivxlc]{1,6})(?: ?(?:/|of|von) ?\d{1,4})?\W*", re.I
)
_CONTENTS_LINE = re.compile(r"(?:\. ?){4,}\s*(?:\d{1,4}|[ivxlc]{1,6})?\s*$")
_MARK = re.compile(r"\s*(?:[^\w\s(\[{\"'<$€£%]|(?P<number>\d{1,3})(?P<dot>[.)])?)\s*")
_MARK_GAP = 2.5
"""Maximum gap between a list's mark and its item, in font sizes."""
_MIN_PAGES = 2
_SIDE_BY_SIDE = 5
"""Minimum rows of two wide pieces, for a page whose columns are drawn row by row."""
_WIDE = 0.2
_FULL = 0.75


def running_lines(sheets: Sequence[Sheet]) -> set[str]:
    """The lines, with their digits replaced, in the margins of at least a third of the pages."""
    found: Counter[str] = Counter()
    for sheet in sheets:
        found.update({_shape(line) for line in sheet.lines if _in_margin(line, sheet)})
    enough = max(_MIN_PAGES, len(sheets) // 3)
    return {shape for shape, count in found.items() if count >= enough}


def readable_lines(sheet: Sheet, running: set[str]) -> list[Line]:
    """A page's lines in reading order, without running lines, page numbers and contents lists."""
    lines = [
        line
        for line in sheet.lines
        if line.text.strip()
        and not _CONTENTS_LINE.search(line.text)
        and not (
            _in_margin(line, sheet)
            and (_shape(line) in running or _PAGE_NUMBER.fullmatch(line.text.strip()))
        )
    ]
    lines = _with_marks(lines)
    gutter = _gutter(lines, sheet.width)
    return _by_columns(lines, gutter) if gutter else lines


def _with_marks(lines: Sequence[Line]) -> list[Line]:
    """Join the marks of lists with their items."""
    kept: list[Line] = []
    for line in lines:
        last = kept[-1] if kept else None
        mark = _MARK.fullmatch(last.text) if last else None
        if not last or not mark or not _is_mark_of(last, line):
            kept.append(line)
            continue
        dot = "." if mark["number"] and not mark["dot"] else ""
        shown = TextRun(f"{last.text.strip()}{dot} ", code=False, bold=False, link="")
        box = Box(last.box.left, line.box.bottom, line.box.right, line.box.top)
        kept[-1] = Line([shown, *line.runs], box, line.size, line.page)
    return kept


def _is_mark_of(mark: Line, line: Line) -> bool:
    level = abs(mark.box.bottom - line.box.bottom) < mark.size / 2
    return level and 0 < line.box.left - mark.box.right < _MARK_GAP * mark.size


def _in_margin(line: Line, sheet: Sheet) -> bool:
    edge = _MARGIN * sheet.height
    return line.box.top < edge or line.box.bottom > sheet.height - edge


def _shape(line: Line) -> str:
    return _DIGITS.sub("0", " ".join(line.text.split()))


def _gutter(lines: Sequence[Line], width: float) -> float | None:
    """The middle of the gap between two columns that are drawn row by row; None without them."""
    pairs = [
        (one, other)
        for one, other in pairwise(lines)
        if abs(one.box.bottom - other.box.bottom) < one.size / 2
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
