"""One search: a question in, passages out, and how probable it is that they answer it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from database.confidence import LOOKED_AT, gather, shipped_model
from database.joining import join, text_of
from database.lexical import LexicalIndex
from database.passages import Findings, Passage
from database.questions import clauses, read_question
from database.ranking import Ranking, Scores, spread
from database.related_words import RelatedWords
from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection
    from langchain_core.embeddings import Embeddings


@dataclass(frozen=True, slots=True)
class Corpus:
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
    corpus: Corpus,
    question: str,
    top_k: int,
    ranking: Ranking,
    min_confidence: float | None = None,
) -> Findings:
    """Find the passages that answer a question best, best first.

    Args:
        corpus: What is searched.
        question: What is asked.
        top_k: How many passages are wanted.
        ranking: How evidence is weighed.
        min_confidence: From which confidence on it is answerable; the model's threshold unless
            given.
    """
    query = read_question(question, corpus.related, ranking.related)
    dense = _dense_scores(corpus, question, ranking) if ranking.dense else _nothing(corpus)
    lexical = spread(
        corpus.lexical.scores(query, titles=ranking.titles, documents=ranking.documents)
        if ranking.lexical
        else _nothing(corpus),
        ranking.candidates,
    )
    total = ranking.dense * dense + ranking.lexical * lexical
    best = _best_first(total)
    runs = join(best, corpus.chunks, ranking, top_k)
    dense_rank, lexical_rank = _ranks(dense), _ranks(lexical)
    model = shipped_model()
    evidence = gather(query, [corpus.chunks[place] for place in best[:LOOKED_AT]], corpus.lexical)
    confidence = model.confidence(evidence)
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
        evidence=evidence,
    )


def _nothing(corpus: Corpus) -> Scores:
    return np.zeros(len(corpus.chunks), dtype=np.float32)


def _dense_scores(corpus: Corpus, question: str, ranking: Ranking) -> Scores:
    """How near each chunk is: to the question as a whole, and to the best of its clauses."""
    parts = clauses(question) if ranking.clauses else []
    whole, *others = _cosines(corpus, [question, *parts], ranking.candidates)
    nearest = _spread_of(corpus, whole, ranking.candidates)
    if not others:
        return nearest
    best: dict[int, float] = {}
    for cosines in others:
        for place, cosine in cosines.items():
            best[place] = max(cosine, best.get(place, -1.0))
    share = ranking.clauses
    mixed: Scores = (1 - share) * nearest + share * _spread_of(corpus, best, ranking.candidates)
    return mixed


def _cosines(corpus: Corpus, texts: list[str], candidates: int) -> list[dict[int, float]]:
    """For each text the nearest chunks, by place, with their cosine."""
    embeddings = corpus.embeddings
    vectors: Any = (
        embeddings.embed_documents(texts) if len(texts) > 1 else [embeddings.embed_query(texts[0])]
    )
    found: Any = corpus.collection.query(
        query_embeddings=vectors,
        n_results=min(candidates, len(corpus.chunks)),
        include=["distances"],
    )
    # Chroma returns cosine distances.
    return [
        {corpus.places[id_]: 1.0 - distance for id_, distance in zip(ids, distances, strict=True)}
        for ids, distances in zip(found["ids"], found["distances"], strict=True)
    ]


def _spread_of(corpus: Corpus, cosines: Mapping[int, float], candidates: int) -> Scores:
    scores = _nothing(corpus)
    places = np.fromiter(cosines, dtype=np.int64, count=len(cosines))
    values = np.fromiter(cosines.values(), dtype=np.float32, count=len(cosines))
    scores[places] = spread(values, candidates)
    return scores


def _best_first(total: Scores) -> list[int]:
    """The places of what was found at all; of a corpus without any evidence, all of it."""
    return _found(total) or list(range(len(total)))


def _found(scores: Scores) -> list[int]:
    """The places that have a score, best first."""
    places = np.flatnonzero(scores)
    order: list[int] = places[np.argsort(-scores[places], kind="stable")].tolist()
    return order


def _ranks(scores: Scores) -> dict[int, int]:
    return {place: rank for rank, place in enumerate(_found(scores), start=1)}
