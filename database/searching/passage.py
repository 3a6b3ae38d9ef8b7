"""A passage, and the findings of a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from database.searching.confidence import ConfidenceFeatures
from dataset.chunks import Chunk


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that matches the question, with adjacent text."""

    chunk: Chunk
    """The best-ranked chunk."""
    text: str
    """Text of the chunk, or of several consecutive chunks of its document."""
    score: float
    """Fused score; higher is better; comparable only within one search."""
    dense_rank: int | None = None
    """Rank by cosine, from 1; None if it was no candidate."""
    lexical_rank: int | None = None
    """Rank by BM25, from 1; None if it was no candidate."""
    begins_under: tuple[str, ...] | None = None
    """Headings above the start of the text, if they are not those of the chunk."""
    begins_inside: bool = False
    ends_inside: bool = False
    """True if the text begins, or ends, in the middle of a section."""

    @property
    def breadcrumb(self) -> str:
        """Title and headings of the start of the text."""
        headings = self.chunk.headings if self.begins_under is None else self.begins_under
        return " > ".join((self.chunk.title, *headings))


@dataclass(frozen=True, slots=True)
class Findings:
    """The result of a search."""

    passages: list[Passage]
    """Best first."""
    confidence: float
    """Probability that the documentation answers the question, 0 to 1."""
    answerable: bool
    """True if the confidence suffices to answer."""
    features: ConfidenceFeatures
    """The features from which the confidence was computed."""


def merge_passages(known: Sequence[Passage], *found: Sequence[Passage]) -> list[Passage]:
    """The known passages, then the others by rank; none whose best chunk is in one before it."""
    merged = list(known)
    for passage in filter(None, chain.from_iterable(zip_longest(*found))):
        if not any(_contains(each, passage) for each in merged):
            merged.append(passage)
    return merged


def _contains(passage: Passage, other: Passage) -> bool:
    return passage.chunk.document == other.chunk.document and other.chunk.text in passage.text
