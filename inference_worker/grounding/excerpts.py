"""Finds in a passage the words that come nearest to a sentence."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from database.searching.terms import terms
from dataset.sentences import sentences
from inference_worker.grounding.checkable import Item
from inference_worker.grounding.evidence import PassageEvidence

MAX_EXCERPT_CHARACTERS = 300
"""Characters of an excerpt."""
_ITEM_WEIGHT = 10.0
"""What a checkable thing is worth against a word: no number of words makes up for it."""

_LIST_MARK = re.compile(r"(?:[-+*•>]|\d{1,9}[.)]|#{1,6})[ \t]+")
_PIECE = re.compile(
    rf"\S.{{0,{MAX_EXCERPT_CHARACTERS - 1}}}(?!\S)|\S{{1,{MAX_EXCERPT_CHARACTERS}}}", re.DOTALL
)
_NOTHING = re.compile(r"[\W_]*\Z|[ \t]*```")


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    terms: frozenset[str]
    evidence: PassageEvidence


class Excerpts:
    """The sentences, list items, rows and lines of code of some passages."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._rarity: dict[str, float] = {}

    def nearest(self, said: str, items: Sequence[Item], passage: int) -> str:
        """Choose the piece of a passage that shares most with a sentence, verbatim.

        What counts is the checkable things of the sentence that a piece holds, then the words,
        each by its rarity among the passages; of equal pieces, the shorter.
        """
        asked = frozenset(terms(said))
        rarity = self._rarity = self._rarity or _rarity(self._texts)

        def worth(piece: _Piece) -> tuple[float, int]:
            shared = sum(rarity[term] for term in asked & piece.terms)
            held = sum(piece.evidence.holds(item) for item in items)
            return shared + _ITEM_WEIGHT * held, -len(piece.text)

        pieces = _pieces(self._texts[passage])
        return max(pieces, key=worth).text if pieces else ""


def _rarity(texts: Sequence[str]) -> dict[str, float]:
    """How much a term tells: the fewer of the passages hold it, the more."""
    each = (frozenset().union(*(piece.terms for piece in _pieces(text))) for text in texts)
    holders = Counter(term for held in each for term in held)
    return {term: math.log(1 + len(texts) / holding) for term, holding in holders.items()}


@lru_cache(maxsize=1024)
def _pieces(text: str) -> tuple[_Piece, ...]:
    """Cut a passage into pieces; the same passages are found again and again."""
    return tuple(
        _Piece(piece, frozenset(terms(piece)), PassageEvidence(piece)) for piece in _split(text)
    )


def _split(text: str) -> Iterator[str]:
    """Cut a passage into pieces that a reader can take in, each verbatim."""
    for block in _blocks(text):
        mark = _LIST_MARK.match(block)
        block = block[mark.end() :] if mark else block
        if not _NOTHING.match(block):
            for sentence in [block] if block.startswith("|") else sentences(block):
                yield from _PIECE.findall(sentence)


def _blocks(text: str) -> Iterator[str]:
    """The passage's paragraphs and list items, and its rows and lines of code one by one."""
    lines: list[str] = []
    in_code = False
    for line in text.split("\n"):
        said = line.strip()
        fence = said.startswith("```")
        alone = in_code or fence or said.startswith("|")
        if alone or not said or _LIST_MARK.match(said):
            yield "\n".join(lines).strip()
            lines = []
        if alone:
            yield said
        elif said:
            lines.append(line)
        in_code ^= fence
    yield "\n".join(lines).strip()
