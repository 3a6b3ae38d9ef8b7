"""Reads the lines of a PDF page with their position and typeface, by PDFium.

A PDF places glyphs. PDFium returns them as characters in the order in which the file draws them;
here they become lines, split where a gap is wider than a space.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from dataset.conversion.pdf.drawing import THIN, Box, links_of, rules_of

_CODE_FONT = re.compile(r"courier|consol|mono|menlo|monaco|typewriter|cmtt|inconsolata|code", re.I)
_BOLD_FONT = re.compile(r"bold|black|heavy|semibold|demi|cmbx", re.IGNORECASE)
_FIXED_PITCH = 1
_BOLD_WEIGHT = 600
_HYPHENS = str.maketrans({"\x02": "-", "\ufffe": "-", "\ufffd": ""})
"""What PDFium returns for a hyphen at the end of a line."""
_PIECES = re.compile(r"\s+|\S+")
_GAP = 0.9
"""Of the font size: a wider gap separates columns and cells."""


@dataclass(slots=True)
class TextRun:
    """Consecutive characters in the same typeface."""

    text: str
    code: bool
    bold: bool
    link: str


@dataclass(slots=True)
class Line:
    """Characters on one baseline, without a wide gap between them."""

    runs: list[TextRun]
    box: Box
    size: float
    page: int

    @property
    def text(self) -> str:
        """Its text."""
        return "".join(run.text for run in self.runs)

    @property
    def code(self) -> bool:
        """True if all of it is in a monospaced font."""
        return all(run.code for run in self.runs if run.text.strip())

    @property
    def bold(self) -> bool:
        """True if all of it is bold."""
        return all(run.bold for run in self.runs if run.text.strip())


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: its lines in drawing order, and its ruled lines."""

    lines: list[Line]
    rules: list[Box]
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Typeface:
    """How a piece of text is set."""

    size: float
    code: bool
    bold: bool


@dataclass(frozen=True, slots=True)
class _Word:
    """Characters without a space between them, in the same typeface."""

    text: str
    spaced: bool
    """True if it follows a space."""
    box: Box
    typeface: _Typeface
    link: str


def read_sheet(document: Any, number: int) -> Sheet:
    """Read a page of a pypdfium2 document, by its number from 0."""
    import pypdfium2.raw as pdfium  # type: ignore[import-untyped, unused-ignore]

    page = document[number]
    text = page.get_textpage()
    try:
        links = list(links_of(pdfium, document, page))
        rules = list(rules_of(pdfium, page))
        uprights = [rule for rule in rules if rule.top - rule.bottom > THIN]
        lines = list(_lines(_Words(pdfium, text.raw, links).read(), number, uprights))
        return Sheet(lines, rules, page.get_width(), page.get_height())
    finally:
        text.close()
        page.close()


def _lines(words: Iterable[_Word | None], number: int, uprights: Sequence[Box]) -> Iterator[Line]:
    line: list[_Word] = []
    for word in words:
        if line and (word is None or _is_split(line[-1], word, uprights)):
            yield _line(line, number)
            line = []
        if word is not None:
            line.append(word)
    if line:
        yield _line(line, number)


class _Words:
    """Reads a page's words, with PDFium calls for their first and last characters only."""

    def __init__(self, pdfium: Any, text: Any, links: list[tuple[Box, str]]) -> None:
        self._pdfium, self._text, self._links = pdfium, text, links
        self._area = pdfium.FS_RECTF()
        self._types: dict[int | None, _Typeface] = {}

    def read(self) -> Iterator[_Word | None]:
        """Yield words, split where the typeface changes; None where a line ends."""
        characters = self._characters()
        spaced = False
        for piece in _PIECES.finditer(characters):
            at, end = piece.span()
            if piece[0].isspace():
                spaced = True
                if "\n" in piece[0] or "\r" in piece[0]:
                    yield None
                continue
            while at < end:
                typeface, till = self._type(at), end
                if self._type(end - 1) is not typeface:
                    later = range(at + 1, end)
                    till = next(place for place in later if self._type(place) is not typeface)
                if box := self._box(at, till - 1, typeface.size):
                    text = _readable(characters[at:till])
                    yield _Word(text, spaced, box, typeface, self._link(box))
                    spaced = False
                at = till

    def _characters(self) -> str:
        """A page's text, with one character for each that PDFium counts."""
        count = range(self._pdfium.FPDFText_CountChars(self._text))
        code_of, text = self._pdfium.FPDFText_GetUnicode, self._text
        return "".join([chr(code_of(text, at) or 0xFFFD) for at in count])

    def _box(self, first: int, last: int, size: float) -> Box | None:
        area, box_of = self._area, self._pdfium.FPDFText_GetLooseCharBox
        if not box_of(self._text, first, area):
            return None
        left, bottom, right, top = area.left, area.bottom, area.right, area.top
        if last != first and box_of(self._text, last, area):
            left, bottom = min(left, area.left), min(bottom, area.bottom)
            right, top = max(right, area.right), max(top, area.top)
        # Some fonts state no height.
        return Box(left, bottom, right, top if top - bottom > size / 2 else bottom + size)

    def _link(self, box: Box) -> str:
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        return next((address for area, address in self._links if area.has(x, y)), "")

    def _type(self, at: int) -> _Typeface:
        """The typeface of a character; read once for all that are drawn together."""
        drawn = self._pdfium.FPDFText_GetTextObject(self._text, at)
        key = ctypes.c_void_p.from_buffer(drawn).value
        found = self._types.get(key)
        if found is None:
            found = self._types[key] = self._read_typeface(at)
        return found

    def _read_typeface(self, at: int) -> _Typeface:
        pdfium, text = self._pdfium, self._text
        name, flags, matrix = ctypes.create_string_buffer(256), ctypes.c_int(), pdfium.FS_MATRIX()
        pdfium.FPDFText_GetFontInfo(text, at, name, 256, flags)
        font = name.value.decode(errors="replace")
        scale = 1.0
        if pdfium.FPDFText_GetMatrix(text, at, matrix):
            scale = (matrix.c**2 + matrix.d**2) ** 0.5
        heavy = pdfium.FPDFText_GetFontWeight(text, at) >= _BOLD_WEIGHT
        return _Typeface(
            size=round(pdfium.FPDFText_GetFontSize(text, at) * scale * 2) / 2,
            code=bool(flags.value & _FIXED_PITCH or _CODE_FONT.search(font)),
            bold=bool(heavy or _BOLD_FONT.search(font)),
        )


def _readable(characters: str) -> str:
    """Join surrogate pairs, and restore the hyphens that PDFium replaces."""
    if characters.isascii() and "\x02" not in characters:
        return characters
    if any("\ud800" <= one < "\ue000" for one in characters):
        characters = characters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return characters.translate(_HYPHENS)


def _is_split(last: _Word, word: _Word, uprights: Sequence[Box]) -> bool:
    height = max(min(word.typeface.size, last.typeface.size), 1.0)
    middle = (word.box.bottom + word.box.top) / 2
    up = abs(middle - (last.box.bottom + last.box.top) / 2)
    ahead = word.box.left - last.box.right
    if up > height or ahead > _GAP * height or ahead < -height:
        return True
    return any(
        last.box.right - 1 <= rule.left <= word.box.left + 1 and rule.bottom <= middle <= rule.top
        for rule in uprights
    )


def _line(words: list[_Word], number: int) -> Line:
    runs: list[TextRun] = []
    for alike, group in groupby(
        words, lambda one: (one.typeface.code, one.typeface.bold, one.link)
    ):
        text = "".join(f" {word.text}" if word.spaced else word.text for word in group)
        if runs and text.startswith(" "):
            runs[-1].text += " "
        runs.append(TextRun(text.removeprefix(" "), *alike))
    sizes = Counter[float]()
    for word in words:
        sizes[word.typeface.size] += len(word.text)
    box = Box.around([word.box for word in words])
    return Line(runs, box, sizes.most_common(1)[0][0], number)
