"""What a text of the documentation holds, as a careful reader compares.

Markup, line breaks, typographic quotes and dashes, and characters that show nothing make no
difference. A name must stand there whole and in the same case: `CreateEndpoint` is not found in
`CreateEndpointConfig`, nor 15 in 150.
"""

import re
from functools import cached_property, lru_cache

from dataset.markdown import plain_text
from inference_worker.grounding.checkable import Item
from inference_worker.grounding.markup import INVISIBLE
from inference_worker.grounding.quantities import Quantities

_TYPOGRAPHY = str.maketrans(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00a0\u202f\u2009",
    '\'\'\'\'""""""-------   ',
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|\u2026|\[\.{3}\]|\[\u2026\])\s*")
_QUOTED_MARKUP = re.compile(r"[`*\"]")
_AROUND_QUOTE = " .,;:!?'"
_CITED = re.compile(r" ?\[\d+\]")


class PassageEvidence:
    """A text to look things up in."""

    def __init__(self, text: str) -> None:
        self._text = text

    def holds(self, item: Item) -> bool:
        """Tell whether something of an answer stands in the text."""
        if item.quantity:
            return self._quantities.holds(item.quantity)
        if item.kind == "quote":
            return self._quotes(item.text)
        return (
            self._says(item.text, any_case=item.any_case, url=item.kind == "url")
            or (bool(item.parts) and all(self._says(part) for part in item.parts))
            or (bool(item.inside) and all(self.holds(each) for each in item.inside))
        )

    def _says(self, written: str, *, any_case: bool = False, url: bool = False) -> bool:
        """Find the words with no part of a word, and no part of the same address, beside them."""
        sought, text = _sought(written), self._literal
        if any_case:
            sought, text = sought.lower(), self._lower
        if url:
            sought = sought.rstrip("/")
        beside = "/?=&%~#.-" if url else "-" if "-" in sought else ""
        at = text.find(sought) if sought else -1
        while at >= 0:
            before, after = text[max(0, at - 1) : at], text[at + len(sought) : at + len(sought) + 2]
            part_of_word = _is_letter(before) or _is_letter(after[:1])
            goes_on = after[:1] and after[0] in beside and _is_letter(after[1:])
            if not part_of_word and not goes_on:
                return True
            at = text.find(sought, at + 1)
        return False

    def _quotes(self, written: str) -> bool:
        """Find quoted words; what an ellipsis parts may stand apart."""
        parts = (_spoken(part) for part in _ELLIPSIS.split(_CITED.sub("", written)))
        return all(part in self._spoken for part in parts)

    @cached_property
    def _literal(self) -> str:
        return _literal(self._text)

    @cached_property
    def _quantities(self) -> Quantities:
        return Quantities(self._text)

    @cached_property
    def _lower(self) -> str:
        return self._literal.lower()

    @cached_property
    def _spoken(self) -> str:
        return _spoken(plain_text(self._text))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _literal(text: str) -> str:
    """The text on one line, without escapes and typography."""
    if not text.isascii():
        text = INVISIBLE.sub("", text).translate(_TYPOGRAPHY)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    return " ".join(text.split())


_sought = lru_cache(maxsize=4096)(_literal)
"""The same of what is looked up, which is looked up in many passages."""


def _spoken(text: str) -> str:
    """The words as one would say them, in lower case and without markup."""
    return _QUOTED_MARKUP.sub("", _literal(text)).strip(_AROUND_QUOTE).casefold()
