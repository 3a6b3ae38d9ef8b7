"""Removes what a reader does not see from text: control, direction, tag and format characters.

They can reverse a line, drive a terminal, or hide words in a text. Joiners and variation selectors
shape the character before them, in Persian, Hindi, emoji and others: there, one is kept.
"""

import re
import unicodedata

_LINE_END = re.compile(r"\r\n?|[\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d"
_EMOJI_SELECTORS = "\ufe0e\ufe0f"
_LETTER_SELECTOR = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0d\U000e0100-\U000e01ef]")
_FIRST_JOINED = "\u0590"
"""No letter below it, in Latin, Greek or Cyrillic, is ever joined."""


class VisibleText:
    """Filters a text that arrives in pieces; whatever ended a line, a newline does then."""

    def __init__(self) -> None:
        self._last = ""
        """The last character that was kept."""
        self._after_return = False

    def feed(self, piece: str) -> str:
        """Return the piece without what is invisible."""
        if not piece:
            return ""
        if piece.isascii() and piece.isprintable():
            self._last, self._after_return = piece[-1], False
            return piece
        begins_inside_line_end = self._after_return and piece[0] == "\n"
        self._after_return = piece[-1] == "\r"
        piece = _LINE_END.sub("\n", piece[begins_inside_line_end:])
        if _INVISIBLE.search(piece):
            piece = "".join(filter(self._keeps, piece))
        self._last = piece[-1:] or self._last
        return piece

    def _keeps(self, character: str) -> bool:
        keeps = not _INVISIBLE.match(character) or _shapes(character, self._last)
        if keeps:
            self._last = character
        return keeps


def visible(text: str) -> str:
    """The text without what is invisible."""
    return VisibleText().feed(text)


def _shapes(character: str, before: str) -> bool:
    """Whether an invisible character shapes the one before it."""
    category = unicodedata.category(before) if before else ""
    if character in _JOINERS:
        return (
            before >= _FIRST_JOINED and before not in _JOINERS and category[:1] in ("L", "M", "S")
        )
    if character in _EMOJI_SELECTORS:
        return category[:1] == "S" or (before != "" and before in "#*0123456789")
    return category == "Lo" and _LETTER_SELECTOR.match(character) is not None
