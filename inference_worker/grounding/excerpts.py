"""Finds the excerpt of a passage that matches a sentence best."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache

from database.searching.terms import terms
from dataset.markdown.syntax import LIST_MARK, blocks
from dataset.sentences import sentences
from inference_worker.grounding.checkable_items import Item
from inference_worker.grounding.evidence import PassageEvidence

MAX_EXCERPT_CHARACTERS = 300
_ITEM_WEIGHT = 10.0
"""Weight of a checkable item against a word's: no number of words outweighs it."""

_QUOTE_MARK = re.compile(r"(?:\A|\n)[ \t]*>[ \t]+")
_CODE_LINE_MARK = re.compile(rf"\A(?:{LIST_MARK}|>|#{{1,6}})[ \t]+")
_PIECE = re.compile(
    rf"\S.{{0,{MAX_EXCERPT_CHARACTERS - 1}}}(?!\S)|\S{{1,{MAX_EXCERPT_CHARACTERS}}}", re.DOTALL
)
_NO_TEXT = re.compile(r"[\W_]*\Z|[ \t]*```")


class Excerpts:
    """The sentences, list items, rows and lines of code of an answer's passages."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def nearest(self, sentence: str, items: Sequence[Item], passage: int) -> str:
        """Choose the piece of a passage, verbatim, that has most in common with a sentence.

        Checkable items in common count first, then common terms, each weighted by its rarity
        among the passages: ln(1 + passages / passages with the term). Ties go to the shorter piece.
        """
        sentence_terms = frozenset(terms(sentence))

        def score(piece: PassageEvidence) -> tuple[float, int]:
            shared = sum(self._rarity[term] for term in sentence_terms & piece.terms)
            contained = sum(piece.contains(item) for item in items)
            return shared + _ITEM_WEIGHT * contained, -len(piece.text)

        pieces = _pieces(self._texts[passage])
        return max(pieces, key=score).text if pieces else ""

    @cached_property
    def _rarity(self) -> dict[str, float]:
        """The weight of each term: higher, the fewer passages contain it."""
        counts: Counter[str] = Counter()
        for text in self._texts:
            counts.update(set().union(*(piece.terms for piece in _pieces(text))))
        return {term: math.log(1 + len(self._texts) / count) for term, count in counts.items()}


@lru_cache(maxsize=1024)
def _pieces(text: str) -> tuple[PassageEvidence, ...]:
    """Cut a passage into pieces; cached, since passages are retrieved repeatedly."""
    return tuple(map(PassageEvidence, _split(text)))


def _split(text: str) -> Iterator[str]:
    """Cut a passage into pieces of a readable length, each verbatim."""
    for part in _parts(text):
        if not _NO_TEXT.match(part):
            for sentence in [part] if part.startswith("|") else sentences(part):
                yield from _PIECE.findall(sentence)


def _parts(text: str) -> Iterator[str]:
    """Yield the passage's paragraphs and list items, and its rows and lines of code one by one."""
    start = end = 0
    for block in blocks(text):
        if block.kind not in ("text", "label") or block.after_blank or start == end:
            yield from map(str.strip, _QUOTE_MARK.split(text[start:end]))
            start = block.start
        end = block.end
        if block.kind in ("code", "row", "table_head", "table_rule"):
            lines = text[start:end].split("\n")
            yield from (_CODE_LINE_MARK.sub("", line.strip()) for line in lines)
            start = end
    yield from map(str.strip, _QUOTE_MARK.split(text[start:end]))
