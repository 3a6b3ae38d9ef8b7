"""One search: a question in, passages out, and how probable it is that they answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from database.embedding.query_embeddings import embed_queries
from database.searching.confidence import MAX_SENTENCE_CHUNKS, extract_features, shipped_model
from database.searching.dense import nearest_among, nearest_chunks
from database.searching.filters import EVERYTHING, Filters
from database.searching.fusion import Ranking, Scores, standardize
from database.searching.lexical_index import LexicalIndex, Query
from database.searching.passage import Findings, Passage
from database.searching.passage_selection import select_passages, text_of
from database.searching.query import clauses, read_question
from database.searching.synonyms import RelatedWords
from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection
    from langchain_core.embeddings import Embeddings

ChunkIndexes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class SearchCorpus:
    """One state of the index, as a search reads it."""

    collection: "Collection"
    embeddings: "Embeddings"
    chunks: Sequence[Chunk]
    """All chunks, those of a document together and in order."""
    places: Mapping[str, int]
    """Where in `chunks` an id is."""
    lexical: LexicalIndex
    related: RelatedWords | None


def search(
    corpus: SearchCorpus,
    question: str,
    top_k: int,
    ranking: Ranking,
    min_confidence: float | None = None,
    filters: Filters = EVERYTHING,
) -> Findings:
    """Find the passages that answer a question best, best first.

    Args:
        corpus: What is searched.
        question: What is asked.
        top_k: How many passages are wanted.
        ranking: How features is weighed.
        min_confidence: From which confidence on it is answerable; the model's threshold unless
            given.
        filters: Which documents are meant; the others might as well not be there.
    """
    query = read_question(question, corpus.related, ranking.related)
    meant = _meant(corpus, filters)
    if not len(meant):
        return Findings(
            [], 0.0, answerable=False, features=extract_features(query, [], corpus.lexical)
        )
    nothing = np.zeros(len(corpus.chunks), dtype=np.float32)
    dense = _dense_scores(corpus, question, ranking, meant) if ranking.dense else nothing
    lexical = _lexical_scores(corpus, query, ranking, meant) if ranking.lexical else nothing
    total = ranking.dense * dense + ranking.lexical * lexical
    best = _found(total) or meant.tolist()  # without any features, all of it
    runs = select_passages(best, corpus.chunks, ranking, top_k)
    dense_rank, lexical_rank = _ranks(dense), _ranks(lexical)
    model = shipped_model()
    features = extract_features(
        query, [corpus.chunks[place] for place in best[:MAX_SENTENCE_CHUNKS]], corpus.lexical
    )
    confidence = model.confidence(features)
    return Findings(
        passages=[
            Passage(
                chunk=corpus.chunks[run.found],
                text=text_of(corpus.chunks[run.first : run.last + 1]),
                begins_under=corpus.chunks[run.first].headings,
                score=float(total[run.found]),
                dense_rank=dense_rank.get(run.found),
                lexical_rank=lexical_rank.get(run.found),
            )
            for run in runs
        ],
        confidence=confidence,
        answerable=confidence >= (model.threshold if min_confidence is None else min_confidence),
        features=features,
    )


def _meant(corpus: SearchCorpus, filters: Filters) -> ChunkIndexes:
    """The places of the chunks that are searched, in order."""
    if filters == EVERYTHING:
        return np.arange(len(corpus.chunks))
    return np.flatnonzero(filters.mask(corpus.chunks))


def _lexical_scores(
    corpus: SearchCorpus, query: Query, ranking: Ranking, meant: ChunkIndexes
) -> Scores:
    """How much of the question stands in each chunk and around it."""
    scores = corpus.lexical.scores(query, titles=ranking.titles, documents=ranking.documents)
    return _spread_at(corpus, meant, scores[meant], ranking.candidates)


def _dense_scores(
    corpus: SearchCorpus, question: str, ranking: Ranking, meant: ChunkIndexes
) -> Scores:
    """How near each chunk is: to the question as a whole, and to the best of its clauses."""
    parts = clauses(question) if ranking.clauses else []
    whole, *others = _cosines(corpus, [question, *parts], ranking.candidates, meant)
    near = _spread_of(corpus, whole, ranking.candidates)
    if not others:
        return near
    best: dict[int, float] = {}
    for cosines in others:
        for place, cosine in cosines.items():
            best[place] = max(cosine, best.get(place, -1.0))
    share = ranking.clauses
    mixed: Scores = (1 - share) * near + share * _spread_of(corpus, best, ranking.candidates)
    return mixed


def _cosines(
    corpus: SearchCorpus, texts: list[str], candidates: int, meant: ChunkIndexes
) -> list[dict[int, float]]:
    """For each text the nearest of the chunks meant, by place, with their cosine."""
    vectors = embed_queries(corpus.embeddings, texts)
    if len(meant) == len(corpus.chunks):
        return nearest_chunks(corpus.collection, vectors, corpus.places, candidates)
    some = {corpus.chunks[place].id: place for place in meant.tolist()}
    return nearest_among(corpus.collection, vectors, some, candidates, of=len(corpus.chunks))


def _spread_at(
    corpus: SearchCorpus, places: ChunkIndexes, scores: Scores, candidates: int
) -> Scores:
    """Some chunks' scores brought to their own spread; 0 for all others."""
    total = np.zeros(len(corpus.chunks), dtype=np.float32)
    total[places] = standardize(scores, candidates)
    return total


def _spread_of(corpus: SearchCorpus, cosines: Mapping[int, float], candidates: int) -> Scores:
    places = np.fromiter(cosines, dtype=np.intp, count=len(cosines))
    values = np.fromiter(cosines.values(), dtype=np.float32, count=len(cosines))
    return _spread_at(corpus, places, values, candidates)


def _found(scores: Scores) -> list[int]:
    """The places that have a score, best first."""
    places = np.flatnonzero(scores)
    order: list[int] = places[np.argsort(-scores[places], kind="stable")].tolist()
    return order


def _ranks(scores: Scores) -> dict[int, int]:
    return {place: rank for rank, place in enumerate(_found(scores), start=1)}
