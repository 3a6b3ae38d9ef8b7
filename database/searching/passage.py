"""A passage: what a search hands on to the reader and to the language model."""

from dataclasses import dataclass

from database.searching.confidence import ConfidenceFeatures
from dataset.chunks import Chunk


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that fits the question, with the text around it that belongs to it."""

    chunk: Chunk
    """The chunk that was found."""
    text: str
    """The chunk's text, or that of several chunks of its document that stand together."""
    score: float
    """How well it fits, comparable within one search only; more is better."""
    dense_rank: int | None = None
    """The chunk's place in the dense ranking, from 1; None where it is not in it."""
    lexical_rank: int | None = None
    """The chunk's place in the lexical ranking, from 1; None where it is not in it."""
    begins_under: tuple[str, ...] | None = None
    """The headings above the text's first words, where these are not the found chunk's."""

    @property
    def breadcrumb(self) -> str:
        """Where the text begins: title and headings; sections that follow in it name themselves."""
        headings = self.chunk.headings if self.begins_under is None else self.begins_under
        return " > ".join((self.chunk.title, *headings))


@dataclass(frozen=True, slots=True)
class Findings:
    """What a search found, and whether that answers the question."""

    passages: list[Passage]
    """Best first."""
    confidence: float
    """Probability that the documentation answers the question, 0 to 1."""
    answerable: bool
    """Whether the confidence is enough to answer."""
    features: ConfidenceFeatures
    """What the confidence rests on."""
