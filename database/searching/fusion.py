"""Fusion of dense and lexical scores into one ranking: the weights and the normalisation.

Cosines and BM25 scores have different scales, which also differ by question. Each side is
normalised over its own n best candidates C (n = Ranking.candidates) before the weighted sum:

    z(c)     = (s(c) - min s(C)) / std s(C) + MIN_SCORE     for c in C, else 0
    total(c) = w_dense * z_dense(c) + w_lexical * z_lexical(c)

A z-score from the last candidate instead of the mean, so that a chunk which one side does not find
gets 0 from it. (Weighted score fusion with per-query standard deviations; cf. Wu, Crestani and Bi
2006, "Evaluating score normalization methods in data fusion". Reciprocal rank fusion discards the
distance between ranks, and measured worse on both question sets.)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Ranking:
    """Weights and limits of the ranking; the values measured best over both question sets."""

    dense: float = 1.25
    """Weight of cosine similarity."""
    lexical: float = 1.0
    """Weight of BM25."""
    documents: float = 0.4
    """Weight of BM25 over whole documents, added to that of the chunk."""
    related: float = 1.2
    """Weight of synonyms; see `synonyms`."""
    candidates: int = 250
    """Candidates per side."""
    per_document: int = 2
    """Passages of one document before passages of other documents."""
    duplicates: float = 0.95
    """Jaccard similarity of words from which a passage of another document is a duplicate."""
    gap: int = 2
    """Maximum distance, in chunks, of found chunks joined to one passage; 0 joins none."""
    characters: int = 12_000
    """Maximum characters of the first eight passages together."""


ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "without lexical": {"lexical": 0.0},
    "without dense": {"dense": 0.0},
    "without related words": {"related": 0.0},
    "without document evidence": {"documents": 0.0},
    "without a limit per document": {"per_document": 100},
    "with near-duplicates": {"duplicates": 1.1},
    "without joining": {"gap": 0},
}
"""Rankings with one component removed each."""

Scores = npt.NDArray[np.float32]

MIN_SCORE = 1e-3
"""Score of the last candidate, to tell it from a chunk that was not found."""


def standardize(scores: Scores, candidates: int) -> Scores:
    """Normalise one side's scores: z(c) of the module's docstring.

    Args:
        scores: Any scale, higher is better; 0 for chunks that were not found.
        candidates: Number n of best scores that count.
    """
    if not len(scores):
        return scores
    best = scores if len(scores) <= candidates else np.partition(scores, -candidates)[-candidates:]
    lowest, deviation = best.min(), best.std()
    above: Scores = np.maximum(scores - lowest, 0.0) / max(float(deviation), MIN_SCORE)
    above[(scores != 0) & (scores >= lowest)] += MIN_SCORE
    return above
