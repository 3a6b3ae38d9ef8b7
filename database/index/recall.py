"""Measures the recall of Chroma's search graph, which is approximate."""

from typing import TYPE_CHECKING, Any

import numpy as np

from database.index import rows, word_vectors
from database.index.rows import Vectors, unit_vectors
from database.index.store import Store

if TYPE_CHECKING:
    from chromadb import Collection

MIN_RECALL = 0.97
"""A recall below it is reported as a problem."""
DEPTH = 250
"""Results per vector, as in a search."""
_SAMPLE = 50
"""Chunks, and as many words: the graph misses most for short questions."""


def measure_recall(store: Store, collection: "Collection") -> float:
    """The share of the DEPTH nearest chunks that the graph finds, on average over a sample.

    The sample are vectors of chunks and of single words. All vectors are read once.
    """
    asked = _sample(store, collection)
    best = np.full((len(asked), DEPTH), -np.inf, dtype=np.float32)
    nearest = np.zeros((len(asked), DEPTH), dtype=object)
    for page in rows.pages(collection, ["embeddings"]):
        cosines = asked @ unit_vectors(page["embeddings"]).T
        best = np.concatenate([best, cosines], axis=1)
        ids = np.broadcast_to(np.array(page["ids"], dtype=object), cosines.shape)
        nearest = np.concatenate([nearest, ids], axis=1)
        order = np.argpartition(-best, DEPTH - 1, axis=1)[:, :DEPTH]
        best = np.take_along_axis(best, order, axis=1)
        nearest = np.take_along_axis(nearest, order, axis=1)
    shares = []
    for vector, ids, cosines in zip(asked, nearest, best, strict=True):
        true = set(ids[np.isfinite(cosines)])
        found: Any = collection.query(query_embeddings=[vector], n_results=DEPTH, include=[])
        shares.append(len(true.intersection(found["ids"][0])) / len(true))
    return float(np.mean(shares))


def _sample(store: Store, collection: "Collection") -> Vectors:
    """Unit vectors to search for, (vectors, dimension)."""
    ids: list[str] = collection.get(include=[])["ids"]
    some = ids[:: max(1, len(ids) // _SAMPLE)][:_SAMPLE]
    chunks = rows.read_vectors(collection, some)
    words = word_vectors.read_word_vectors(store, collection.name)
    if words is None or not len(words[1]):
        return unit_vectors(chunks)
    step = max(1, len(words[1]) // _SAMPLE)
    return unit_vectors(np.concatenate([chunks, words[1][::step][:_SAMPLE]]))
