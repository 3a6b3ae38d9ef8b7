"""One search: question -> dense and lexical scores -> fusion -> passages and confidence."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from database.embedding.query_embeddings import embed_question
from database.index.rows import Vectors, read_vectors, unit_vectors
from database.searching.confidence import MAX_TEXTS, extract_features, shipped_model
from database.searching.dense import exact_cosines, nearest_chunks
from database.searching.filters import EVERYTHING, Filters
from database.searching.fusion import Ranking, Scores, standardize
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.passage import Findings, Passage
from database.searching.passage_selection import select_passages, text_of
from database.searching.query import read_question
from database.searching.synonyms import RelatedWords
from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection
    from langchain_core.embeddings import Embeddings

ChunkIndexes = npt.NDArray[np.intp]

AVERAGE_Z_SCORE = 1.5
"""Of the labelled questions; used where there is no better estimate."""
_MIN_SAMPLE = 100
"""Chunks; the cosines of fewer have no meaningful deviation."""
_CHANCE = 0.5
"""Increase of the best chunk's z-score per unit of ln(chunks): the maximum of more cosines is
larger by chance. Measured between indexes of 126 and 20,959 chunks."""
_MAX_Z_SCORE = 5.0
"""About the highest of labelled questions (99% are below 5.2); more is not more evidence."""
_MIN_DEVIATION = 1e-6
"""Smaller deviations are rounding errors: all texts of the sample are the same."""


@dataclass(frozen=True, slots=True)
class SearchCorpus:
    """Everything a search reads of one state of the index."""

    collection: "Collection"
    embeddings: "Embeddings"
    chunks: Sequence[Chunk]
    """All chunks, sorted by document and position."""
    places: Mapping[str, int]
    """Index in `chunks` of each chunk id."""
    lexical: LexicalIndex
    related: RelatedWords | None
    vectors: Vectors | None
    """The chunks' unit vectors, (chunks, dimension); None if they are too many to compare each."""
    sample: Vectors
    """The unit vectors of some chunks, evenly distributed: what cosines are compared with."""


def search(
    corpus: SearchCorpus,
    question: str,
    top_k: int,
    ranking: Ranking,
    min_confidence: float | None = None,
    filters: Filters = EVERYTHING,
) -> Findings:
    """Find the passages that answer a question best, best first.

    It is answerable from `min_confidence` on; None means the calibrated threshold.
    """
    # Parse the question: terms with their synonyms, and names.
    query = read_question(question, corpus.lexical, corpus.related, ranking.related)
    # Apply the filters: the indexes of the chunks that pass, ascending.
    eligible = np.arange(len(corpus.chunks))
    if filters != EVERYTHING:
        eligible = np.flatnonzero(filters.mask(corpus.chunks))
    if not len(eligible):
        features = extract_features(query, [], corpus.lexical, AVERAGE_Z_SCORE)
        return Findings([], 0.0, answerable=False, features=features)
    # Score chunks by cosine and by BM25, each normalised over its candidates.
    nothing = np.zeros(len(corpus.chunks), dtype=np.float32)
    asked = unit_vectors(embed_question(corpus.embeddings, question)) if ranking.dense else None
    cosines = nothing if asked is None else _cosines(corpus, asked, ranking.candidates, eligible)
    dense = _normalised_at(corpus, eligible, cosines[eligible], ranking.candidates)
    lexical = _lexical_scores(corpus, query, ranking, eligible) if ranking.lexical else nothing
    # Fuse the scores, and rank; without any evidence, all eligible chunks.
    total = ranking.dense * dense + ranking.lexical * lexical
    best = _ranked(total) or eligible.tolist()
    # Select passages from the ranked chunks.
    dense_rank, lexical_rank = _ranks(dense), _ranks(lexical)
    passages = [
        Passage(
            chunk=corpus.chunks[span.found],
            text=text_of(corpus.chunks[span.first : span.last + 1]),
            begins_under=corpus.chunks[span.first].headings,
            begins_inside=_is_one_section(corpus.chunks, span.first - 1),
            ends_inside=_is_one_section(corpus.chunks, span.last),
            score=float(total[span.found]),
            dense_rank=dense_rank.get(span.found),
            lexical_rank=lexical_rank.get(span.found),
        )
        for span in select_passages(best, corpus.chunks, ranking, max(top_k, MAX_TEXTS))
    ]
    # Estimate the probability that the best passages answer the question.
    features = extract_features(
        query,
        [f"{passage.chunk.breadcrumb}\n{passage.text}" for passage in passages],
        corpus.lexical,
        _z_score(corpus, asked, best[0], cosines, len(eligible)),
    )
    model = shipped_model()
    confidence = model.confidence(features)
    return Findings(
        passages=passages[:top_k],
        confidence=confidence,
        answerable=confidence >= (model.threshold if min_confidence is None else min_confidence),
        features=features,
    )


def _z_score(
    corpus: SearchCorpus, asked: Vectors | None, place: int, found: Scores, searched: int
) -> float:
    """The best chunk's (cosine - mean) / deviation - _CHANCE * ln(chunks searched).

    Mean and deviation are those of the sample's cosines; `found` has the cosine of each chunk.
    """
    if asked is None or len(corpus.sample) < _MIN_SAMPLE:
        return AVERAGE_Z_SCORE
    cosine = found[place]
    if corpus.vectors is None and not cosine:  # BM25 found it, the graph did not
        vectors = read_vectors(corpus.collection, [corpus.chunks[place].id])
        if not vectors.any():  # just deleted
            return AVERAGE_Z_SCORE
        (cosine,) = exact_cosines(unit_vectors(vectors), asked)
    cosines = exact_cosines(corpus.sample, asked)
    z_score = float((cosine - cosines.mean()) / max(float(cosines.std()), _MIN_DEVIATION))
    return min(z_score - _CHANCE * math.log(searched), _MAX_Z_SCORE)


def _is_one_section(chunks: Sequence[Chunk], at: int) -> bool:
    """Whether the chunk at this index and the next are of one section."""
    if not 0 <= at < len(chunks) - 1:
        return False
    first, second = chunks[at], chunks[at + 1]
    return (first.document, first.headings, first.anchor) == (
        second.document,
        second.headings,
        second.anchor,
    )


def _lexical_scores(
    corpus: SearchCorpus, query: Query, ranking: Ranking, eligible: ChunkIndexes
) -> Scores:
    """Normalised BM25 of each chunk, with its document."""
    scores = corpus.lexical.scores(query, documents=ranking.documents)
    return _normalised_at(corpus, eligible, scores[eligible], ranking.candidates)


def _cosines(
    corpus: SearchCorpus, asked: Vectors, candidates: int, eligible: ChunkIndexes
) -> Scores:
    """The cosine of each chunk to a unit vector; 0 for chunks that the graph does not find."""
    if corpus.vectors is not None:
        return exact_cosines(corpus.vectors, asked)
    return _graph_cosines(corpus, asked.tolist(), candidates, eligible)


def _graph_cosines(
    corpus: SearchCorpus, asked: Sequence[float], candidates: int, eligible: ChunkIndexes
) -> Scores:
    """The cosine of each chunk that Chroma's graph finds; 0 for all others."""
    chunks, places = corpus.chunks, corpus.places
    if len(eligible) < len(chunks):
        places = {chunks[place].id: place for place in eligible.tolist()}
    near = nearest_chunks(corpus.collection, asked, places, candidates, of=len(chunks))
    cosines = np.zeros(len(chunks), dtype=np.float32)
    cosines[list(near)] = list(near.values())
    return cosines


def _normalised_at(
    corpus: SearchCorpus, places: ChunkIndexes, scores: Scores, candidates: int
) -> Scores:
    """Normalised scores of some chunks; 0 for all others."""
    total = np.zeros(len(corpus.chunks), dtype=np.float32)
    total[places] = standardize(scores, candidates)
    return total


def _ranked(scores: Scores) -> list[int]:
    """The indexes of chunks with a score, best first."""
    places = np.flatnonzero(scores)
    order: list[int] = places[np.argsort(-scores[places], kind="stable")].tolist()
    return order


def _ranks(scores: Scores) -> dict[int, int]:
    return {place: rank for rank, place in enumerate(_ranked(scores), start=1)}
