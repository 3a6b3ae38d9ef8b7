"""Moves cells far from all others near them: the area between would need memory for every cell."""

import re
from collections.abc import Iterable, Mapping

from dataset.markdown.writer import MAX_CELLS

_CELL = re.compile(rb"""(<(?:\w+:)?c\s(?:[^<>]*?\s)?r=["'])([A-Z]{1,3})([0-9]{1,7})(?=["'])""")
_ROW = re.compile(rb"""(<(?:\w+:)?row\s(?:[^<>]*?\s)?r=["'])([0-9]{1,7})(?=["'])""")
_MERGED = re.compile(
    rb"""(<(?:\w+:)?mergeCell\s(?:[^<>]*?\s)?ref=["'])"""
    rb"""([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})["'][^<>]*>"""
)
_DIMENSION = re.compile(rb"<(?:\w+:)?dimension\s[^<>]*>")


def without_gaps(sheet: bytes) -> bytes | None:
    """A large sheet's XML, its gaps narrowed to one row or column; None for a small sheet."""
    used_columns: set[bytes] = set()
    used_rows: set[bytes] = set()
    for found in _CELL.finditer(sheet):
        used_columns.add(found[2])
        used_rows.add(found[3])
    columns, rows = _moved(map(_number, used_columns)), _moved(map(int, used_rows))
    if _extent(columns) * _extent(rows) <= MAX_CELLS:
        return None

    def moved_row(found: re.Match[bytes]) -> bytes:
        at = int(found[2])
        return found[1] + b"%d" % rows.get(at, at)

    def moved_cell(found: re.Match[bytes]) -> bytes:
        return found[1] + _letters(columns[_number(found[2])]) + b"%d" % rows[int(found[3])]

    def moved_range(found: re.Match[bytes]) -> bytes:
        left, right = _number(found[2]), _number(found[4])
        top, bottom = int(found[3]), int(found[5])
        if left not in columns or top not in rows:
            return b""  # nothing is in its first cell
        right, bottom = _last(columns, right), _last(rows, bottom)
        first = _letters(columns[left]) + b"%d" % rows[top]
        return found[1] + first + b":" + _letters(right) + b"%d" % bottom + b'"/>'

    sheet = _CELL.sub(moved_cell, _ROW.sub(moved_row, _DIMENSION.sub(b"", sheet, count=1)))
    return _MERGED.sub(moved_range, sheet)


def _moved(numbers: Iterable[int]) -> dict[int, int]:
    """New numbers from 1 for rows or columns; where some were left out, one is now."""
    moved: dict[int, int] = {}
    previous = at = 0
    for number in sorted(set(numbers)):
        at += 1 if not moved or number == previous + 1 else 2
        moved[number] = at
        previous = number
    return moved


def _extent(moved: Mapping[int, int]) -> int:
    """How many rows or columns there are before they move."""
    return max(moved, default=0) - min(moved, default=0) + 1


def _last(moved: Mapping[int, int], number: int) -> int:
    return max(at for old, at in moved.items() if old <= number)


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _letters(number: int) -> bytes:
    letters = b""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = bytes([ord("A") + rest]) + letters
    return letters
