"""From ranked chunks to passages: which are handed on, and what is joined to them.

A document may not crowd out the rest, what another page says in the same words is left out, and
where there is room a passage grows to chunks near it that were found too, with what stands
between: a fact often lies across a cut.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from database.searching.fusion import Ranking
from database.searching.terms import words
from dataset.chunks import Chunk

TOGETHER = 8
"""How many passages share the limit on characters, and may grow: what a language model gets."""
LOOK_AHEAD = 60
"""A passage grows only to chunks that are among so many of the best."""
MAX_PASSAGE_CHARACTERS = 3000
"""Characters a passage may grow to."""


@dataclass(slots=True)
class PassageSpan:
    """Neighbouring chunks of one document, by their places in the index."""

    found: int
    """The chunk that was found first."""
    first: int
    last: int


def select_passages(
    found: Sequence[int], chunks: Sequence[Chunk], ranking: Ranking, top_k: int
) -> list[PassageSpan]:
    """Choose the passages, best first. What is asked for less is the beginning of more.

    Args:
        found: Places of the chunks found, best first.
        chunks: All chunks, those of a document together and in order.
        ranking: The limits.
        top_k: How many passages are wanted.
    """
    choice = _Choice(chunks, ranking)
    coming = iter(found)
    choice.take(coming, TOGETHER)
    for place in found[:LOOK_AHEAD]:
        choice.extend(place)
    choice.take(coming, top_k)
    return choice.all()[:top_k]


def text_of(chunks: Sequence[Chunk]) -> str:
    """The text of neighbouring chunks; where a section ends, the next one's heading is said."""
    parts = [chunks[0].text]
    for before, chunk in pairwise(chunks):
        if chunk.headings and chunk.headings != before.headings:
            parts.append(f"## {chunk.headings[-1]}")
        parts.append(chunk.text)
    return "\n\n".join(parts)


@dataclass(slots=True)
class _Choice:
    """The passages so far."""

    chunks: Sequence[Chunk]
    ranking: Ranking
    runs: list[PassageSpan] = field(default_factory=list)
    _crowding: list[int] = field(default_factory=list)
    """Chunks whose document has its share: they come after all others."""
    _next: list[int] = field(default_factory=list)
    """Chunks too long for the first passages, or that repeat one of them: they come after those."""
    _characters: int = 0
    _of_document: Counter[str] = field(default_factory=Counter)
    _words: list[frozenset[str]] = field(default_factory=list)

    def take(self, coming: Iterator[int], wanted: int) -> None:
        """Take chunks, best first, until there are so many passages."""
        while len(self.runs) < wanted and (place := next(coming, None)) is not None:
            self._consider(place)

    def _consider(self, place: int) -> None:
        """Take the next best chunk: as a passage, or for later."""
        if len(self.runs) == TOGETHER and self._next:
            waiting, self._next = self._next, []
            for each in waiting:
                self._consider(each)
        chunk = self.chunks[place]
        together = len(self.runs) < TOGETHER
        if (
            any(self._near(run, place) for run in self.runs[:TOGETHER])
            or self._of_document[chunk.document] >= self.ranking.per_document
        ):
            self._crowding.append(place)
        elif together and (
            self._characters + len(chunk.text) > self.ranking.characters
            or self._is_repetition(chunk)
        ):
            self._next.append(place)
        else:
            self.runs.append(PassageSpan(place, place, place))
            self._of_document[chunk.document] += 1
            if together:
                self._words.append(frozenset(words(chunk.text)))
                self._characters += len(chunk.text)

    def extend(self, place: int) -> None:
        """Let a passage grow to a chunk that stands close, if there is room."""
        for run in self.runs[:TOGETHER]:
            if run.first <= place <= run.last or not self._near(run, place):
                continue
            first, last = min(run.first, place), max(run.last, place)
            length = len(text_of(self.chunks[first : last + 1]))
            more = length - len(text_of(self.chunks[run.first : run.last + 1]))
            free = not any(
                other is not run and other.first <= last and other.last >= first
                for other in self.runs
            )
            if (
                free
                and length <= MAX_PASSAGE_CHARACTERS
                and self._characters + more <= self.ranking.characters
            ):
                run.first, run.last = first, last
                self._characters += more
                return

    def all(self) -> list[PassageSpan]:
        """The passages, and after them what had to wait."""
        runs = list(self.runs)
        for place in self._next + self._crowding:
            if not any(run.first <= place <= run.last for run in runs):
                runs.append(PassageSpan(place, place, place))
        return runs

    def _near(self, run: PassageSpan, place: int) -> bool:
        same = self.chunks[run.found].document == self.chunks[place].document
        return same and max(run.first - place, place - run.last) <= self.ranking.gap

    def _is_repetition(self, chunk: Chunk) -> bool:
        """Whether a passage of another document says the same."""
        own = frozenset(words(chunk.text))
        for run, other in zip(self.runs, self._words, strict=True):
            fewer, more = sorted((len(own), len(other)))
            if (
                fewer >= self.ranking.duplicates * more > 0
                and self.chunks[run.found].document != chunk.document
                and len(own & other) >= self.ranking.duplicates * len(own | other)
            ):
                return True
        return False
