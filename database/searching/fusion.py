"""How evidence becomes one ranking: the weights, and what is left when an ingredient is taken out.

Dense and lexical scores come from different scales, and from scales that differ by question. Each
side is brought to its own spread: how far a chunk stands above the side's last candidate, in
standard deviations of its candidates. What a side does not find gets nothing from it. (A fusion by
ranks throws away how far ahead the first is, and measured worse on both question sets.)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Ranking:
    """The weights. The values are those that `make evaluate` found best over both question sets."""

    dense: float = 1.0
    """Of the nearness of the embeddings."""
    lexical: float = 1.0
    """Of the words in common."""
    clauses: float = 0.8
    """Of the best clause's nearness beside the whole question's, in a question of several."""
    titles: float = 0.1
    """Of the question's words in the document's title, beside those in the chunk."""
    documents: float = 0.4
    """Of the question's words anywhere in the document, beside those in the chunk."""
    related: float = 1.2
    """Of words that mean nearly the same as the question's."""
    candidates: int = 250
    """How many chunks each side proposes."""
    per_document: int = 2
    """How many passages a document may have while others wait."""
    duplicates: float = 0.95
    """Share of words in common from which on a passage of another document is a repetition."""
    gap: int = 2
    """How many chunks apart two found chunks of a document may be to become one passage; 0: none
    are joined."""
    characters: int = 9000
    """How long the first eight passages may be together."""


ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "without lexical": {"lexical": 0.0},
    "without dense": {"dense": 0.0},
    "without related words": {"related": 0.0},
    "without clauses": {"clauses": 0.0},
    "without title evidence": {"titles": 0.0},
    "without document evidence": {"documents": 0.0},
    "without a limit per document": {"per_document": 100},
    "with near-duplicates": {"duplicates": 1.1},
    "without joining": {"gap": 0},
}
"""The ingredients, each taken out."""

Scores = npt.NDArray[np.float32]

MIN_SCORE = 1e-3
"""What the last candidate gets: it was found."""


def standardize(scores: Scores, candidates: int) -> Scores:
    """Bring one side's scores to their own spread.

    Args:
        scores: What the side found, any scale, more is better; 0 for what it did not find.
        candidates: How many of the best count.

    Returns:
        Standard deviations above the last candidate, and a little for being one; 0 for the others.
    """
    if not len(scores):
        return scores
    best = scores if len(scores) <= candidates else np.partition(scores, -candidates)[-candidates:]
    lowest, deviation = best.min(), best.std()
    above: Scores = np.maximum(scores - lowest, 0.0) / max(float(deviation), MIN_SCORE)
    above[(scores != 0) & (scores >= lowest)] += MIN_SCORE
    return above
