"""Joins the marks of lists, which are drawn apart, with their items."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from dataset.conversion.pdf.drawing import Box
from dataset.conversion.pdf.lines import Line, TextRun, is_level

_BULLETS = "•◦▪▫‣●○■□➢➤✓✔\uf0b7\uf0a7\uf0d8\uf076\u2043"
_MARK = re.compile(r"\s*(?:[^\w\s(\[{\"'<$€£%]|\d{1,3}[.)]?)\s*")
_GAP = 2.5
"""Maximum gap between a mark and its item, in font sizes."""
_ALIGNED = 6.0
_MIN_WORDS = 4
"""Mean words in the first lines of items that do not start at 1; cells have fewer."""


def with_marks(lines: Sequence[Line], rules: Sequence[Box]) -> list[Line]:
    """Join each mark with its item; a number without a dot is a mark where others count on."""
    uprights = [rule for rule in rules if rule.top - rule.bottom > rule.right - rule.left]
    marked = [at for at in range(len(lines) - 1) if _is_marked(lines, at, uprights)]
    counted = set(_counted(lines, marked))
    joined = {at for at in marked if at in counted or not lines[at].text.strip().isdecimal()}
    kept: list[Line] = []
    last: Line | None = None
    for at, line in enumerate(lines):
        if at in joined:
            dot = "." if at in counted else ""
            kept.append(_item(line, lines[at + 1], dot))
            last = line if dot else None
        elif at - 1 not in joined:
            kept.append(_next_item(line, last) if last else line)
            last = line if kept[-1] is not line else last
    return kept


def _item(mark: Line, line: Line, dot: str) -> Line:
    shown = TextRun(f"{mark.text.strip()}{dot} ")
    box = Box(mark.box.left, line.box.bottom, line.box.right, line.box.top)
    return Line([shown, *line.runs], box, line.size, line.page)


def _next_item(line: Line, last: Line) -> Line:
    """A line that begins with the number after that of the last mark, with a dot; or the line."""
    number, _, words = line.runs[0].text.partition(" ")
    last_number = last.text.split()[0]
    follows = number.isdecimal() and int(number) == int(last_number) + 1
    if not follows or abs(line.box.left - last.box.left) > 1:
        return line
    first = replace(line.runs[0], text=f"{number}. {words}")
    return replace(line, runs=[first, *line.runs[1:]])


def _is_marked(lines: Sequence[Line], at: int, uprights: Sequence[Box]) -> bool:
    """True if a line may be the mark of the next; what may be a cell has no other beside it."""
    mark, item = lines[at : at + 2]
    text = mark.text.strip()
    ahead = item.box.left - mark.box.right
    if not _MARK.fullmatch(text) or not is_level(mark, item) or not 0 < ahead < _GAP * mark.size:
        return False
    if any(
        mark.box.right - 1 <= rule.left <= item.box.left + 1
        and rule.bottom <= mark.box.top
        and rule.top >= mark.box.bottom
        for rule in uprights
    ):
        return False
    beside = (lines[place] for place in (at - 1, at + 2) if 0 <= place < len(lines))
    return text in _BULLETS or not any(is_level(mark, line) for line in beside)


def _counted(lines: Sequence[Line], marked: Sequence[int]) -> Iterator[int]:
    """Yield the marks that are bare numbers and count on, unless they are below a table's head."""
    numbers = [at for at in marked if lines[at].text.strip().isdecimal()]
    run: list[int] = []
    for at, following in pairwise([*numbers, -1]):
        run.append(at)
        if following < 0 or int(lines[following].text) != int(lines[at].text) + 1:
            words = sum(len(lines[item + 1].text.split()) for item in run)
            long = words >= _MIN_WORDS * len(run)
            listed = long or int(lines[run[0]].text) == 1
            if listed and len(run) > 1 and not _has_head(lines, run[0]):
                yield from run
            run = []


def _has_head(lines: Sequence[Line], at: int) -> bool:
    if at < 2:
        return False
    one, other = lines[at - 2 : at]
    aligned = abs(other.box.left - lines[at + 1].box.left) < _ALIGNED
    return is_level(one, other) and aligned
