"""Compares numbers with units by value.

`1,024` equals 1024, and `15 min` equals `15 minutes` and `900 s`; `5 GB` equals neither `5 MB` nor
`5 GiB`. Byte units are not converted, since 1 KB may be 1,000 or 1,024 bytes. `3.10` is a version
and does not equal `3.1`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

LETTERS = (
    r"A-Za-z0-9_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u052f\uff21-\uff3a\uff41-\uff5a"
)
"""The characters of words, for a character class. It includes Cyrillic and Greek, which contain
look-alikes of Latin letters, but not Chinese and Japanese, which adjoin names without a space."""

_UNCONVERTED = """
    month months, year years, byte bytes, kb kilobyte kilobytes, mb megabyte megabytes,
    gb gigabyte gigabytes, tb terabyte terabytes, pb petabyte petabytes, kib kibibyte kibibytes,
    mib mebibyte mebibytes, gib gibibyte gibibytes, tib tebibyte tebibytes, kbps, mbps, gbps,
    pixel pixels px, gpu gpus, vcpu vcpus, cpu cpus"""
"""Units that measure only themselves, each with its other names."""
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), ("time", 0.001)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), ("time", 1)),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), ("time", 60)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), ("time", 3600)),
    **dict.fromkeys(("day", "days"), ("time", 86400)),
    **dict.fromkeys(("week", "weeks"), ("time", 604800)),
    **dict.fromkeys(("%", "percent", "per cent"), ("%", 1)),
    **dict.fromkeys(("x", "×", "times"), ("times", 1)),  # noqa: RUF001 (the sign itself is meant)
    **{"hz": ("hz", 1), "khz": ("hz", 1000), "mhz": ("hz", 1e6), "ghz": ("hz", 1e9)},
    **dict.fromkeys(("usd", "$", "dollar", "dollars"), ("$", 1)),
    **dict.fromkeys(("k", "thousand"), ("", 1000)),
    **dict.fromkeys(("m", "million"), ("", 1e6)),
    **dict.fromkeys(("b", "billion"), ("", 1e9)),
    **{name: (names.split()[0], 1) for names in _UNCONVERTED.split(",") for name in names.split()},
}
"""What each unit measures and its factor; "" is a plain number."""

_BY_LENGTH = sorted((re.escape(unit) for unit in _UNITS), key=len, reverse=True)
_UNIT = "(?:" + "|".join(unit for unit in _BY_LENGTH if unit not in ("k", "m", "b")) + ")"
NUMBER = (
    rf"\d(?<![{LETTERS}.]\d)(?:(?<=\d)\d{{0,2}}(?:,\d{{3}})++(?!\d)|\d*+)(?:\.\d++)*+(?:[eE][+-]?\d++)?"
    rf"(?:(?:[kKMB]|[\s-]?(?i:{_UNIT}))(?![{LETTERS}]))?"
    rf"(?![{LETTERS}])(?!\.[{LETTERS}])"
)
"""A number with its unit, unless it is part of a larger word. It starts with a digit, which makes
the search fast; sign, `$` and `v` are checked in the text before it."""
_NUMBER = re.compile(NUMBER)
_DIGITS = re.compile(r"[\d,]*\d(?:\.\d+)*(?:[eE][+-]?\d+)?")
_SIGN = re.compile(rf"(?<![{LETTERS}.)\]])[-\u2212]\Z")
_WORDS = {
    word: value
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
        fifteen sixteen seventeen eighteen nineteen twenty""".split()  # noqa: SIM905
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90, "hundred": 100}
_UNIT_IN_NAME = re.compile(r"(?:Seconds|Minutes|Hours|Days|Bytes|GB|MB)\b")
LIST_NUMERAL = r"^[ \t>#*_+-]*\d{1,3}[.)](?=[\s*])"
_LIST_NUMERAL = re.compile(LIST_NUMERAL, re.MULTILINE)

_TO_SPACES = str.maketrans(dict.fromkeys(".,;:!?()[]{}|*`\"'-/", " "))
_MAX_DIGITS = 300
"""Longer numbers are compared as text."""

QuantityValue = int | float | str
"""A string for a version, or a number with a significant trailing zero."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit's dimension."""

    value: QuantityValue
    """As written."""
    measures: str
    """What its unit measures; "" for a plain number."""
    amount: QuantityValue
    """The value times the unit's factor: an hour and 60 minutes have the same amount."""


class Quantities:
    """The numbers in a text."""

    def __init__(self, text: str) -> None:
        self._measured: set[tuple[QuantityValue, str]] = set()
        self._bare: set[QuantityValue] = set()
        self._values: set[QuantityValue] = set()
        text = _LIST_NUMERAL.sub(" ", text)
        words = text.lower().translate(_TO_SPACES).split()
        for quantity in (*_in_digits(text), *_in_words(words)):
            self._values |= {quantity.value, quantity.amount}
            self._measured.add((quantity.amount, quantity.measures))
            if not quantity.measures:
                self._bare.add(quantity.value)
        units = [*_UNITS.keys() & words, *map(str.lower, _UNIT_IN_NAME.findall(text))]
        self._units = {_UNITS[unit][0] for unit in units}

    def contains(self, quantity: Quantity) -> bool:
        """True if the text contains the number.

        A number with a unit needs that unit, or must be bare with the unit elsewhere in the text
        ("8 to 10 hours", a table's head). A plain number matches with any unit.
        """
        if not quantity.measures:
            return quantity.amount in self._values
        return (quantity.amount, quantity.measures) in self._measured or (
            quantity.value in self._bare and quantity.measures in self._units
        )


def quantity_at(text: str, start: int, end: int) -> Quantity:
    """Parse a match of NUMBER in a text."""
    digits = _DIGITS.match(text, start, end)
    written = digits[0] if digits else ""
    unit = "$" if text[start - 1 : start] == "$" else _unit(text[start + len(written) : end])
    return _quantity(_value(written, -1 if is_negative(text, start) else 1), unit)


def is_negative(text: str, start: int) -> bool:
    """True if a minus sign precedes the number, not a dash or a hyphen in a word."""
    return _SIGN.search(text, max(0, start - 2), start) is not None


def _unit(written: str) -> str:
    return written.lstrip("- \t\r\n\u00a0").lower()


def _quantity(value: QuantityValue, unit: str) -> Quantity:
    measures, factor = _UNITS.get(unit, ("", 1))
    amount = value if isinstance(value, str) or factor == 1 else round(value * factor, 9)
    return Quantity(value, measures, amount)


def _value(digits: str, sign: int = 1) -> QuantityValue:
    plain = digits.replace(",", "")
    whole, _, fraction = plain.partition(".")
    if "." in fraction or len(plain) > _MAX_DIGITS:
        return plain
    if "e" in plain.lower():
        return sign * float(plain)
    if not fraction.strip("0"):
        return sign * int(whole)
    return plain if fraction.endswith("0") else sign * float(plain)


def _in_digits(text: str) -> Iterator[Quantity]:
    """Parse the numbers in digits; a negative one also without its sign."""
    for found in _NUMBER.finditer(text):
        quantity = quantity_at(text, *found.span())
        yield quantity
        if is_negative(text, found.start()) and not isinstance(quantity.value, str):
            yield _quantity(-quantity.value, "")


def _in_words(words: list[str]) -> Iterator[Quantity]:
    """Parse "one hour", "an hour" and "five" in a list of lower-case words."""
    for before, word in pairwise(["", *words, ""]):
        if word in _UNITS and (before in _WORDS or before in ("a", "an")):
            yield _quantity(_WORDS.get(before, 1), word)
        elif before in _WORDS:
            yield _quantity(_WORDS[before], "")
