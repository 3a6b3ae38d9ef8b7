"""Passage selection: from ranked chunks to diverse passages, joined with found neighbours.

One document must not crowd out the others, near-duplicates of another page are deferred, and a
passage grows to found chunks near it, with the chunks between, because facts often span a cut.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from database.searching.fusion import Ranking
from database.searching.terms import words
from dataset.chunks import Chunk

TOGETHER = 8
"""First passages, which share the limit on characters and may grow: the language model's."""
LOOK_AHEAD = 60
"""Best chunks to which a passage may grow."""
MAX_PASSAGE_CHARACTERS = 3000
"""Length to which a passage may grow."""


@dataclass(slots=True)
class PassageSpan:
    """Consecutive chunks of one document, by their indexes."""

    found: int
    """The best-ranked chunk."""
    first: int
    last: int


def select_passages(
    found: Sequence[int], chunks: Sequence[Chunk], ranking: Ranking, top_k: int
) -> list[PassageSpan]:
    """Select passages, best first. A smaller top_k gives a prefix of a larger one's passages.

    Args:
        found: Indexes of the ranked chunks, best first.
        chunks: All chunks, sorted by document and position.
        ranking: The limits.
        top_k: Maximum number of passages.
    """
    choice = _Choice(chunks, ranking)
    coming = iter(found)
    # Take the first passages, within the limits per document and on characters.
    choice.take(coming, TOGETHER)
    # Grow them to found chunks nearby, while characters are left.
    for place in found[:LOOK_AHEAD]:
        choice.extend(place)
    # Take the rest; deferred chunks come last.
    choice.take(coming, top_k)
    return choice.all()[:top_k]


def text_of(chunks: Sequence[Chunk]) -> str:
    """The text of consecutive chunks; a new section starts with its heading."""
    parts = [chunks[0].text]
    for before, chunk in pairwise(chunks):
        if chunk.headings and chunk.headings != before.headings:
            parts.append(f"## {chunk.headings[-1]}")
        parts.append(chunk.text)
    return "\n\n".join(parts)


@dataclass(slots=True)
class _Choice:
    """The passages selected so far, and the deferred chunks."""

    chunks: Sequence[Chunk]
    ranking: Ranking
    spans: list[PassageSpan] = field(default_factory=list)
    _crowding: list[int] = field(default_factory=list)
    """Chunks of documents that have their share of passages: after all others."""
    _deferred: list[int] = field(default_factory=list)
    """Chunks too long for the first passages, or duplicates: after the first passages."""
    _characters: int = 0
    _of_document: Counter[str] = field(default_factory=Counter)
    _words: list[frozenset[str]] = field(default_factory=list)

    def take(self, coming: Iterator[int], wanted: int) -> None:
        """Consider chunks, best first, until `wanted` passages are selected."""
        while len(self.spans) < wanted and (place := next(coming, None)) is not None:
            self._consider(place)

    def _consider(self, place: int) -> None:
        """Select the next best chunk as a passage, or defer it."""
        # The first passages are complete: reconsider the chunks deferred for their sake.
        if len(self.spans) == TOGETHER and self._deferred:
            waiting, self._deferred = self._deferred, []
            for each in waiting:
                self._consider(each)
        chunk = self.chunks[place]
        together = len(self.spans) < TOGETHER
        if (
            any(self._is_near(span, place) for span in self.spans[:TOGETHER])
            or self._of_document[chunk.document] >= self.ranking.per_document
        ):
            self._crowding.append(place)
        elif together and (
            self._characters + len(chunk.text) > self.ranking.characters
            or self._is_repetition(chunk)
        ):
            self._deferred.append(place)
        else:
            self.spans.append(PassageSpan(place, place, place))
            self._of_document[chunk.document] += 1
            if together:
                self._words.append(frozenset(words(chunk.text)))
                self._characters += len(chunk.text)

    def extend(self, place: int) -> None:
        """Grow a passage to a chunk near it, if the limits allow."""
        for span in self.spans[:TOGETHER]:
            if span.first <= place <= span.last or not self._is_near(span, place):
                continue
            first, last = min(span.first, place), max(span.last, place)
            length = len(text_of(self.chunks[first : last + 1]))
            more = length - len(text_of(self.chunks[span.first : span.last + 1]))
            free = not any(
                other is not span and other.first <= last and other.last >= first
                for other in self.spans
            )
            if (
                free
                and length <= MAX_PASSAGE_CHARACTERS
                and self._characters + more <= self.ranking.characters
            ):
                span.first, span.last = first, last
                self._characters += more
                return

    def all(self) -> list[PassageSpan]:
        """The passages, then the deferred chunks."""
        spans = list(self.spans)
        for place in self._deferred + self._crowding:
            if not any(span.first <= place <= span.last for span in spans):
                spans.append(PassageSpan(place, place, place))
        return spans

    def _is_near(self, span: PassageSpan, place: int) -> bool:
        same = self.chunks[span.found].document == self.chunks[place].document
        return same and max(span.first - place, place - span.last) <= self.ranking.gap

    def _is_repetition(self, chunk: Chunk) -> bool:
        """True if a passage of another document has nearly the same words (Jaccard similarity)."""
        own = frozenset(words(chunk.text))
        for span, other in zip(self.spans, self._words, strict=True):
            fewer, more = sorted((len(own), len(other)))
            if (
                fewer >= self.ranking.duplicates * more > 0
                and self.chunks[span.found].document != chunk.document
                and len(own & other) >= self.ranking.duplicates * len(own | other)
            ):
                return True
        return False
