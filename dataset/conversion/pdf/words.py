"""Reads the words of a PDF page with their position and typeface, by PDFium.

A PDF places glyphs. PDFium returns them as characters in the order in which the file draws them.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dataset.conversion.pdf.drawing import Box

_CODE_FONT = re.compile(r"courier|consol|mono|menlo|monaco|typewriter|cmtt|inconsolata|code", re.I)
_BOLD_FONT = re.compile(r"bold|black|heavy|semibold|demi|cmbx", re.IGNORECASE)
_FIXED_PITCH = 1
_BOLD_WEIGHT = 600
_HYPHENS = str.maketrans({"\x02": "-", "\ufffe": "-", "\xad": "-", "\ufffd": ""})
"""What PDFium returns for a hyphen that is drawn at the end of a line."""
_SPACE = 0x20
_PIECES = re.compile(r"\s+|\S+")
SLANTED = 4
"""The turn of a text that runs at no multiple of a right angle, such as a watermark."""
_MAX_SLANT = 15
"""Degrees: a scanned page may be askew by less."""


_STATED = 2
"""Weight of a letter that is upright on the page as the file turns it."""


@dataclass(frozen=True, slots=True)
class Typeface:
    """How a piece of text is set."""

    size: float
    code: bool
    bold: bool
    turn: int
    """Where it runs to: 0 right, 1 up, 2 left (upside down), 3 down, or SLANTED."""


@dataclass(frozen=True, slots=True)
class Word:
    """Characters without a space between them, in the same typeface."""

    text: str
    spaced: bool
    """True if it follows a space."""
    broken: bool
    """True if PDFium ends a line before it."""
    box: Box
    """On the page turned so that the word runs to the right."""
    baseline: float
    typeface: Typeface
    link: str


def main_turn(words: Sequence[Word], stated: int) -> int:
    """Where a page's text runs to: as the page states, unless much more runs elsewhere."""
    letters: Counter[int] = Counter()
    for word in words:
        letters[word.typeface.turn] += len(word.text)
    del letters[SLANTED]
    letters[stated] *= _STATED
    return max(letters, key=letters.__getitem__)


class WordReader:
    """Reads a page's words, with PDFium calls for their first and last characters only."""

    def __init__(self, pdfium: Any, area: Box, links: list[tuple[Box, str]]) -> None:
        self._pdfium, self._page, self._links = pdfium, area, links
        self._area = pdfium.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._types: dict[int | None, Typeface] = {}
        self._text: Any = None

    def read(self, page: Any) -> list[Word]:
        """The words of a page, split where the typeface changes."""
        text = page.get_textpage()
        try:
            self._text = text.raw
            return list(self._words())
        finally:
            text.close()

    def _words(self) -> Iterator[Word]:
        characters = self._characters()
        spaced = broken = False
        for piece in _PIECES.finditer(characters):
            at, end = piece.span()
            if piece[0].isspace():
                spaced = True
                broken = broken or "\n" in piece[0] or "\r" in piece[0]
                continue
            while at < end:
                typeface, till = self._type(at), end
                if self._type(end - 1) is not typeface:
                    later = range(at + 1, end)
                    till = next(place for place in later if self._type(place) is not typeface)
                if area := self._area_of(at, till - 1):
                    yield Word(
                        _readable(characters[at:till]),
                        spaced,
                        broken,
                        self._upright(area, typeface),
                        self._upright(self._origin(at), typeface).bottom,
                        typeface,
                        self._link(area),
                    )
                    spaced = broken = False
                at = till

    def _characters(self) -> str:
        """A page's text, with one character for each that PDFium counts."""
        count = range(self._pdfium.FPDFText_CountChars(self._text))
        code_of, text = self._pdfium.FPDFText_GetUnicode, self._text
        is_unknown = self._pdfium.FPDFText_HasUnicodeMapError  # the code is of the glyph
        codes = [code_of(text, at) for at in count]
        return "".join(
            chr(code if code >= _SPACE or (code and not is_unknown(text, at)) else 0xFFFD)
            for at, code in enumerate(codes)
        )

    def _area_of(self, first: int, last: int) -> Box | None:
        area, box_of = self._area, self._pdfium.FPDFText_GetLooseCharBox
        if not box_of(self._text, first, area):
            return None
        left, bottom, right, top = area.left, area.bottom, area.right, area.top
        if last != first and box_of(self._text, last, area):
            left, bottom = min(left, area.left), min(bottom, area.bottom)
            right, top = max(right, area.right), max(top, area.top)
        box = Box(left, bottom, right, top)
        return box if all(map(math.isfinite, box)) else None

    def _upright(self, area: Box, typeface: Typeface) -> Box:
        return area.turned(self._page, typeface.turn % SLANTED)

    def _origin(self, at: int) -> Box:
        """Where the baseline of a character starts."""
        self._pdfium.FPDFText_GetCharOrigin(self._text, at, self._x, self._y)
        return Box(self._x.value, self._y.value, self._x.value, self._y.value)

    def _link(self, box: Box) -> str:
        x, y = (box.left + box.right) / 2, (box.bottom + box.top) / 2
        return next((address for area, address in self._links if area.has(x, y)), "")

    def _type(self, at: int) -> Typeface:
        """The typeface of a character; read once for all that are drawn together."""
        drawn = self._pdfium.FPDFText_GetTextObject(self._text, at)
        key = ctypes.c_void_p.from_buffer(drawn).value
        found = self._types.get(key)
        if found is None:
            found = self._types[key] = self._read_typeface(at)
        return found

    def _read_typeface(self, at: int) -> Typeface:
        pdfium, text = self._pdfium, self._text
        name, flags, matrix = ctypes.create_string_buffer(256), ctypes.c_int(), pdfium.FS_MATRIX()
        pdfium.FPDFText_GetFontInfo(text, at, name, 256, flags)
        font = name.value.decode(errors="replace")
        scale, turn = 1.0, 0
        if pdfium.FPDFText_GetMatrix(text, at, matrix):
            scale = math.hypot(matrix.c, matrix.d)
            turn = _turn(math.degrees(math.atan2(matrix.b, matrix.a)))
        heavy = pdfium.FPDFText_GetFontWeight(text, at) >= _BOLD_WEIGHT
        return Typeface(
            size=round(pdfium.FPDFText_GetFontSize(text, at) * scale * 2) / 2,
            code=bool(flags.value & _FIXED_PITCH or _CODE_FONT.search(font)),
            bold=bool(heavy or _BOLD_FONT.search(font)),
            turn=turn,
        )


def _turn(degrees: float) -> int:
    quarters = round(degrees / 90)
    return quarters % 4 if abs(degrees - 90 * quarters) < _MAX_SLANT else SLANTED


def _readable(characters: str) -> str:
    """Join surrogate pairs, and restore the hyphens that PDFium replaces."""
    if characters.isascii() and "\x02" not in characters:
        return characters
    if any("\ud800" <= one < "\ue000" for one in characters):
        characters = characters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return characters.translate(_HYPHENS)
