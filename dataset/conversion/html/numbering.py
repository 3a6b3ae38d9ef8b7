"""Numbers the items of lists as the page shows them."""

import re
from collections.abc import Iterator

from dataset.conversion.html.element import Element
from dataset.conversion.numerals import numeral

_TYPES = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_STYLES = re.compile(r"\b(lower|upper)-?(alpha|latin|roman)\b")
"""How a list is numbered, as CSS states it and, in classes, docutils and AsciiDoctor do."""
_ALPHABET = 26


def numbered_items(element: Element) -> Iterator[tuple[Element, str, str]]:
    """Yield each child of a list with its mark in markdown, and the letters before its text."""
    kind, step = _kind(element), -1 if "reversed" in element.attributes else 1
    count = sum(map(_is_item, element.elements()))
    number = _stated(element.get("start"), count if step < 0 else 1)
    for child in element.elements():
        number = _stated(child.get("value"), number)
        mark = f"{number}. " if kind == "decimal" else "- "
        yield child, mark, "" if kind in ("", "decimal") else f"{_letters(number, kind)}."
        number += step if _is_item(child) else 0


def _is_item(child: Element) -> bool:
    """True for an item, and for an element with text that is written like one."""
    return child.tag == "li" or (child.tag not in ("ul", "ol") and bool(child.words()))


def _kind(element: Element) -> str:
    """How a list is numbered, in Word's terms; "" for one that is not."""
    if element.tag != "ol":
        return ""
    stated = _STYLES.search(f"{element.get('class')} {element.get('style')}".lower())
    if stated is None:
        return _TYPES.get(element.get("type"), "decimal")
    return stated[1] + ("Roman" if stated[2] == "roman" else "Letter")


def _stated(number: str, default: int) -> int:
    return int(number) if number.isascii() and number.isdigit() and len(number) < 9 else default


def _letters(number: int, kind: str) -> str:
    """The letters of a number; after `z` follows `aa`, then `ab`, where Word has `bb`."""
    if kind.endswith("Roman") or number <= _ALPHABET:
        return numeral(number, kind)
    before, last = divmod(number - 1, _ALPHABET)
    return _letters(before, kind) + numeral(last + 1, kind)
