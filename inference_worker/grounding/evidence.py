"""Looks up an answer's checkable items in a passage.

Markup, line breaks, typographic quotes and dashes, and invisible characters make no difference. A
name must occur as a whole word and in the same case: `CreateEndpointConfig` does not contain
`CreateEndpoint`, nor 150 the number 15.
"""

import re
from functools import cached_property, lru_cache

from database.searching.terms import terms
from dataset.markdown.reader import plain_text
from dataset.markdown.syntax import ESCAPE
from inference_worker.grounding.checkable_items import Item
from inference_worker.grounding.markup import INVISIBLE
from inference_worker.grounding.quantities import Quantities

_TYPOGRAPHY = str.maketrans(
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb"
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00a0\u202f\u2009",
    '\'\'\'\'""""""-------   ',
)
_ESCAPED = re.compile(ESCAPE)
_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|\u2026|\[\.{3}\]|\[\u2026\])\s*")
_QUOTED_MARKUP = re.compile(r"[`*\"]")
_AROUND_QUOTE = " .,;:!?'"
_CITED = re.compile(r" ?\[\d+\]")


class PassageEvidence:
    """The text of a passage or of a piece of one, prepared for lookups."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def terms(self) -> frozenset[str]:
        """Its search terms."""
        return frozenset(terms(self.text))

    def contains(self, item: Item) -> bool:
        """True if the text contains the item."""
        if item.quantity:
            return self._quantities.contains(item.quantity)
        if item.kind == "quote":
            return self._contains_quotation(item.text)
        return (
            self._contains_name(item.text, any_case=item.any_case, url=item.kind == "url")
            or (bool(item.parts) and all(self._contains_name(part) for part in item.parts))
            or (bool(item.inside) and all(self.contains(each) for each in item.inside))
        )

    def _contains_name(self, written: str, *, any_case: bool = False, url: bool = False) -> bool:
        """True if the text contains the words, delimited as a whole name or address."""
        sought, text = _literal_item(written), self._literal
        if any_case:
            sought, text = sought.lower(), self._lower
        if url:
            sought = sought.rstrip("/")
        beside = "/?=&%~#.-" if url else "-" if "-" in sought else ""
        at = text.find(sought) if sought else -1
        while at >= 0:
            before, after = text[max(0, at - 1) : at], text[at + len(sought) : at + len(sought) + 2]
            part_of_word = _is_letter(before) or _is_letter(after[:1])
            is_continued = after[:1] and after[0] in beside and _is_letter(after[1:])
            if not part_of_word and not is_continued:
                return True
            at = text.find(sought, at + 1)
        return False

    def _contains_quotation(self, written: str) -> bool:
        """True if the text contains the quotation; parts around an ellipsis may be apart."""
        parts = (_plain_words(part) for part in _ELLIPSIS.split(_CITED.sub("", written)))
        return all(part in self._plain_words for part in parts)

    @cached_property
    def _literal(self) -> str:
        return _literal(self.text)

    @cached_property
    def _quantities(self) -> Quantities:
        return Quantities(self.text)

    @cached_property
    def _lower(self) -> str:
        return self._literal.lower()

    @cached_property
    def _plain_words(self) -> str:
        return _plain_words(plain_text(self.text))


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _literal(text: str) -> str:
    """The text on one line, without escapes and typographic characters."""
    if not text.isascii():
        text = INVISIBLE.sub("", text).translate(_TYPOGRAPHY)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    return " ".join(text.split())


_literal_item = lru_cache(maxsize=4096)(_literal)
"""Cached, since each item is looked up in many passages."""


def _plain_words(text: str) -> str:
    """The words in lower case, without markup and surrounding punctuation."""
    return _QUOTED_MARKUP.sub("", _literal(text)).strip(_AROUND_QUOTE).casefold()
