"""Drops what a PDF repeats: running heads and feet, page numbers, tables of contents.

A line is dropped only if other pages prove that it adds nothing: they have the same words at the
same place, and the only number that differs is the page's.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dataset.conversion.pdf.lines import Line, level_rows
from dataset.conversion.pdf.sheets import Sheet

_DETACHED = 0.7
"""Of the font size: the least gap between a running head and the text."""
_ALIGNED = 3.0
"""Points between the left edges of cells in one column."""
_OF_PAGES = r"(?: ?(?:/|of|von) ?\d{1,4})?"
_ONLY_NUMBER = re.compile(
    rf"\W*(?P<word>page |seite )?(?:\d{{1,4}}|[ivxl]{{1,7}}){_OF_PAGES}\W*", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"(?P<before>(?:.*(?:\b(?:page|seite|p\.)|[|\u2013\u2014·•]| -) ?)?\W{0,2})"
    r"(?P<number>\d{1,4}|[ivxl]{1,7})"
    rf"(?P<after>{_OF_PAGES}(?:\W{{0,2}}| ?(?:[|\u2013\u2014·•]|- ).*))",
    re.IGNORECASE,
)
_ONES = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix")
_TENS = ("", "x", "xx", "xxx", "xl", "l")
_ROMAN = {ten + one: 10 * tens + ones for tens, ten in enumerate(_TENS)
          for ones, one in enumerate(_ONES)}  # fmt: skip
_LEADER = re.compile(r"\s*(?:\. ?){4,}\s*")
_CONTENTS_LINE = re.compile(rf"(?P<title>.*?){_LEADER.pattern}(?P<number>\d{{1,4}})\s*")
_SECTION_NUMBER = re.compile(r"\s*(?:appendix )?[\da-z]?(?:\.?\d+)*\.?\s")
_DIGIT = re.compile(r"\d")
_ENDS_SENTENCE = re.compile(r"[.!?]\W*$")
_MAX_CHARACTERS = 500
_STAMP = re.compile(r"(?:\S+ ){0,3}\S*(?<!\d)(?:0\d{2,}|\d{5,})\W*")
"""ABC-000417, Exhibit 0417: a number of the page that a stamp adds."""
_MAX_STAMP = 40
_MIN_PAGES = 3
_MIN_SHARE = 1 / 3
"""Of the pages: a running head that fewer have may be of one chapter."""
_MOST = 0.75
"""Of the pages: an inner row that fewer of them share may state a fact about each page."""
_MIN_CONTENTS = 3

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """Lines at one height, at the edge of a page and apart from its text."""

    lines: Sequence[Line]
    key: _Key
    """The same on two pages if only the page number differs."""
    outermost: bool
    """True if no row is between it and the edge of the page."""

    @property
    def text(self) -> str:
        return " ".join(line.text.strip() for line in self.lines)

    @property
    def constant(self) -> bool:
        """True if it is one piece, without a number that counts the pages."""
        return len(self.key) == 2 and isinstance(self.key[1], str)


def is_page_number(line: Line, sheet: Sheet) -> bool:
    """True if a line at the edge only numbers its page, or is a stamp with a number."""
    text = line.text.strip()
    if len(text) > _MAX_STAMP or not (sheet.is_at_top(line) or sheet.is_at_foot(line)):
        return False
    return bool(_ONLY_NUMBER.fullmatch(text) or _STAMP.fullmatch(text))


def without_running_lines(sheets: Sequence[Sheet]) -> list[list[Line]]:
    """The lines of each page without running heads and feet, page numbers and contents."""
    rows = [row for sheet in sheets for row in _marginal_rows(sheet)]
    pages = Counter(row.key for row in rows)
    text_size = _text_size(sheets)
    dropped: set[int] = set()
    seen: set[_Key] = set()
    heights = Counter(row.key[0] for row in rows)
    running = False
    for row in rows:
        share = pages[row.key] / len(sheets)
        repeated = _is_repeated(row, pages[row.key])
        # A row is a running head if all between it and the edge are, or no page has other words.
        running = (row.outermost or running) and repeated
        same = row.constant and share >= _MOST and pages[row.key] == heights[row.key[0]]
        once = not running or _is_kept_once(row, share, text_size)
        if (running or (repeated and same)) and not (once and row.key not in seen):
            dropped.update(map(id, row.lines))
        elif pages[row.key] > 1 and row.lines[0].size <= text_size:
            for line in row.lines:
                line.aside = True
        seen.add(row.key)
    titles = Counter(
        _title(" ".join(line.text for line in row))
        for sheet in sheets
        for row in _upright_rows(sheet.lines)
    )
    for sheet in sheets:
        dropped.update(_contents_of(sheet.lines, titles))
    return [
        [line for line in sheet.lines if line.text.strip() and id(line) not in dropped]
        for sheet in sheets
    ]


def _is_repeated(row: _Row, pages: int) -> bool:
    if number := _ONLY_NUMBER.fullmatch(row.text):
        return pages > 1 or bool(number["word"])
    return pages >= _MIN_PAGES


def _is_kept_once(row: _Row, share: float, text_size: float) -> bool:
    """True for a stamp, a title, a sentence, a number, and what few of the pages have."""
    first = row.lines[0]
    has_value = any(isinstance(shape, str) and _DIGIT.search(shape) for shape in row.key)
    is_sentence = _ENDS_SENTENCE.search(row.text)
    is_content = first.aside or first.size > text_size or is_sentence or has_value
    return not _ONLY_NUMBER.fullmatch(row.text) and bool(is_content or share < _MIN_SHARE)


def _marginal_rows(sheet: Sheet) -> Iterator[_Row]:
    """Yield the rows at the edges of a page, until one that is near to the text."""
    rows = _upright_rows(sheet.lines)
    tops = [row for row in rows if sheet.is_at_top(row[0])]
    feet = [row for row in rows if sheet.is_at_foot(row[0])]
    for marginal, inward in ((tops, rows), (feet[::-1], rows[::-1])):
        apart = 0
        for at, row in enumerate(marginal, start=1):
            if at == len(inward) or _is_detached(row, inward[at]):
                apart = at
        for at, row in enumerate(marginal[:apart]):
            yield _Row(row, _key(row, sheet), outermost=at == 0)
    for line in sheet.lines:
        if line.aside:
            yield _Row([line], _key([line], sheet), outermost=True)


def _upright_rows(lines: Iterable[Line]) -> list[list[Line]]:
    return level_rows(line for line in lines if not line.aside and line.text.strip())


def _is_detached(row: Sequence[Line], inward: Sequence[Line]) -> bool:
    """True if a row is far from the next one, and not aligned with it in columns."""
    cells = len(row) == len(inward) > 1 and all(
        abs(one.box.left - other.box.left) < _ALIGNED
        for one, other in zip(row, inward, strict=True)
    )
    return not cells and _gap(row[0], inward[0]) > _DETACHED * row[0].size


def _gap(one: Line, other: Line) -> float:
    return max(one.box.bottom - other.box.top, other.box.bottom - one.box.top)


def _key(row: Sequence[Line], sheet: Sheet) -> _Key:
    return (round(row[0].box.bottom), *(_shape(line.text, sheet.number) for line in row))


def _shape(text: str, page: int) -> object:
    """A text, in which a page number is replaced by its distance from the page's place."""
    folded = _folded(text)
    found = _NUMBERED.fullmatch(folded) if len(folded) < _MAX_CHARACTERS else None
    if not found:
        return folded
    shown = found["number"]
    number = int(shown) if shown.isdecimal() else _ROMAN.get(shown)
    return folded if number is None else (found["before"], number - page, found["after"])


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def _title(text: str) -> str:
    """A title without its number."""
    folded = _folded(text)
    return _SECTION_NUMBER.sub("", folded, count=1) or folded


def _text_size(sheets: Sequence[Sheet]) -> float:
    letters: Counter[float] = Counter()
    for sheet in sheets:
        for line in sheet.lines:
            letters[line.size] += len(line.text)
    return max(letters, key=letters.__getitem__, default=0.0)


def _contents_of(lines: Sequence[Line], titles: Mapping[str, int]) -> set[int]:
    """The lines of a table of contents: most of its titles are found elsewhere."""
    found: set[int] = set()
    numbers: list[int] = []
    known = 0
    for row in _upright_rows(lines):
        text = " ".join(line.text.strip() for line in row)
        entry = _CONTENTS_LINE.fullmatch(text) if len(text) < _MAX_CHARACTERS else None
        if entry:
            numbers.append(int(entry["number"]))
            known += titles[_title(entry["title"])] > 0
            found.update(map(id, row))
    ascending = all(one <= other for one, other in pairwise(numbers))
    is_contents = len(numbers) >= _MIN_CONTENTS and ascending and 2 * known >= len(numbers)
    return found if is_contents else set()
