"""The chunks nearest to vectors, among those that a search looks at.

The collection is changed in place while searches go on. It may hold rows that this reader does not
know yet or no longer, and they must not take the places of those it does; and rows that it knows
may be gone.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chromadb import Collection

_A_HANDFUL = 100
"""So many vectors are fetched and compared here: 5 ms. Chroma looks for them in all of its graph,
15 ms among 12,600 and 120 ms among 60,000."""
_FEW = 0.5
"""Up to which share of all chunks Chroma is told which ones are meant: 8 ms for 5,000 of 12,600.
Of more it is asked for more than are wanted, which is less to send."""
_MORE = 4
"""How many times as many are asked for where too few of those that came were meant."""

QueryVectors = Sequence[Sequence[float]]
Cosines = list[dict[int, float]]
"""For each vector the places of the chunks nearest to it, nearest first, with their cosine."""


def nearest_chunks(
    collection: "Collection",
    vectors: QueryVectors,
    meant: Mapping[str, int],
    wanted: int,
    asked: int = 0,
) -> Cosines:
    """Find the chunks nearest to each vector.

    Args:
        collection: Where their vectors lie.
        vectors: What they are to be near to.
        meant: The ids of the chunks that count, with their places.
        wanted: How many of them; there may be fewer.
        asked: How many to ask for at first, if more.
    """
    wanted = min(wanted, len(meant))
    asked = max(wanted, asked)
    while True:
        found, came = _ask(collection, vectors, asked, meant)
        if all(
            len(own) >= wanted or all_of < asked for own, all_of in zip(found, came, strict=True)
        ):
            return [dict(islice(own.items(), wanted)) for own in found]
        asked *= _MORE


def nearest_among(
    collection: "Collection", vectors: QueryVectors, meant: Mapping[str, int], wanted: int, of: int
) -> Cosines:
    """Find the nearest where not all chunks count; however few, none of them is missed.

    Args:
        collection: Where their vectors lie.
        vectors: What they are to be near to.
        meant: The ids of the chunks that count, with their places.
        wanted: How many of them; there may be fewer.
        of: How many chunks there are.
    """
    from chromadb.errors import InternalError

    wanted, share = min(wanted, len(meant)), len(meant) / of
    if len(meant) <= _A_HANDFUL:
        return _compared(collection, vectors, meant, wanted)
    if share <= _FEW:
        try:
            return _ask(collection, vectors, wanted, meant, ids=list(meant))[0]
        except InternalError:  # one of the rows is gone: its document was changed just now
            pass
    return nearest_chunks(collection, vectors, meant, wanted, asked=round(1.2 * wanted / share))


def _ask(
    collection: "Collection",
    vectors: QueryVectors,
    count: int,
    meant: Mapping[str, int],
    ids: list[str] | None = None,
) -> tuple[Cosines, list[int]]:
    """Ask Chroma: what it found that is meant, and for each vector how much it found in all."""
    found: Any = collection.query(
        query_embeddings=list(vectors), ids=ids, n_results=count, include=["distances"]
    )
    cosines = [
        {meant[id_]: 1.0 - distance for id_, distance in zip(*each, strict=True) if id_ in meant}
        for each in zip(found["ids"], found["distances"], strict=True)
    ]
    return cosines, [len(each) for each in found["ids"]]


def _compared(
    collection: "Collection", vectors: QueryVectors, meant: Mapping[str, int], wanted: int
) -> Cosines:
    """Compare the vectors here."""
    held: Any = collection.get(ids=list(meant), include=["embeddings"])
    if not held["ids"]:
        return [{} for _ in vectors]
    places = [meant[id_] for id_ in held["ids"]]
    theirs = np.asarray(held["embeddings"], dtype=np.float32)
    ours = np.asarray(vectors, dtype=np.float32)
    lengths = np.outer(np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1))
    cosines = (ours @ theirs.T) / np.maximum(lengths, np.finfo(np.float32).tiny)
    return [
        {places[at]: float(row[at]) for at in np.argsort(-row, kind="stable")[:wanted]}
        for row in cosines
    ]
