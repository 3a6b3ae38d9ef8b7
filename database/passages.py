"""A passage: a chunk as a search found it."""

from dataclasses import dataclass

from dataset.chunks import Chunk


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk with how well it fits the question, and how it was found."""

    chunk: Chunk
    score: float
    """Cosine similarity of question and chunk, -1 to 1."""
    dense_rank: int
    """Place in the dense ranking, from 1."""
