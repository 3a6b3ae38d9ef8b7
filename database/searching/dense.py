"""Dense search: the cosines of chunks to a question's vector.

Up to MAX_EXACT_CHUNKS, every chunk is compared in memory: exact, and faster than a graph. Beyond,
Chroma's graph finds the nearest eligible ones. The collection changes in place meanwhile: it may
contain rows that this reader does not know yet or no longer, which must not displace known ones;
and known rows may have been deleted.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from database.index.rows import Vectors, unit_vectors

if TYPE_CHECKING:
    from chromadb import Collection

_MAX_FETCHED = 100
"""Up to this many eligible chunks, their vectors are fetched and compared here, in 5 ms. Chroma
searches its whole graph: 15 ms for 12,600 chunks, 120 ms for 60,000."""
_MAX_ID_SHARE = 0.5
"""Up to this share of all chunks, Chroma receives the eligible ids: 8 ms for 5,000 of 12,600.
Beyond, more results than needed are requested, which sends less."""
_GROWTH = 4
"""Growth of the number requested while too few of the results are eligible."""

Cosines = dict[int, float]
"""The indexes of the nearest chunks with their cosine, nearest first."""


def exact_cosines(vectors: Vectors, asked: Vectors) -> Vectors:
    """The cosine of each unit vector to another one.

    Not `@`: BLAS splits it between threads that wait for each other by spinning, which takes up to
    200 ms when four requests search at once on two cores.
    """
    cosines: Vectors = np.vecdot(vectors, asked)
    return cosines


def nearest_chunks(
    collection: "Collection",
    asked: Sequence[float],
    eligible: Mapping[str, int],
    wanted: int,
    of: int,
) -> Cosines:
    """Find the eligible chunks nearest to a vector; none is missed, however few there are.

    Args:
        collection: The live collection.
        asked: The question's vector.
        eligible: Ids and indexes of the eligible chunks.
        wanted: Results, if there are as many.
        of: Number of all chunks.
    """
    from chromadb.errors import InternalError

    requested = wanted = min(wanted, len(eligible))
    if len(eligible) < of:
        if len(eligible) <= _MAX_FETCHED:
            return _compare(collection, asked, eligible, wanted)
        share = len(eligible) / of
        if share <= _MAX_ID_SHARE:
            try:
                return _query(collection, asked, wanted, eligible, ids=list(eligible))[0]
            except InternalError:  # a row was deleted: its document has just changed
                pass
        requested = max(wanted, round(1.2 * wanted / share))
    while True:
        found, came = _query(collection, asked, requested, eligible)
        if len(found) >= wanted or came < requested:
            return dict(islice(found.items(), wanted))
        requested *= _GROWTH


def _query(
    collection: "Collection",
    asked: Sequence[float],
    count: int,
    eligible: Mapping[str, int],
    ids: list[str] | None = None,
) -> tuple[Cosines, int]:
    """Query Chroma: the eligible results, and the number of all results."""
    found: Any = collection.query(
        query_embeddings=[asked], ids=ids, n_results=count, include=["distances"]
    )
    (came,), (distances,) = found["ids"], found["distances"]
    cosines = {
        eligible[id_]: 1.0 - distance
        for id_, distance in zip(came, distances, strict=True)
        if id_ in eligible
    }
    return cosines, len(came)


def _compare(
    collection: "Collection", asked: Sequence[float], eligible: Mapping[str, int], wanted: int
) -> Cosines:
    """Fetch the eligible vectors and compare them here, exactly."""
    stored: Any = collection.get(ids=list(eligible), include=["embeddings"])
    if not stored["ids"]:
        return {}
    places = [eligible[id_] for id_ in stored["ids"]]
    cosines = exact_cosines(unit_vectors(stored["embeddings"]), unit_vectors(asked))
    return {places[at]: float(cosines[at]) for at in np.argsort(-cosines, kind="stable")[:wanted]}
