"""Reads all rows of an index, for comparison."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from database.index.store import Store


@dataclass(frozen=True)
class Contents:
    """All rows of an index."""

    rows: dict[str, tuple[str, dict[str, Any]]]
    """Id to text and metadata."""
    vectors: dict[str, np.ndarray]

    def lowest_cosine(self, other: "Contents") -> float:
        """The largest distance between the vectors of the same chunk."""
        return min(float(np.dot(self.vectors[id_], other.vectors[id_])) for id_ in self.vectors)


def contents(store: Store) -> Contents:
    """Read the live collection."""
    _, collection, _ = store.live_collection()
    got: Any = collection.get(include=["documents", "metadatas", "embeddings"])
    rows = {
        id_: (text, dict(fields))
        for id_, text, fields in zip(got["ids"], got["documents"], got["metadatas"], strict=True)
    }
    vectors = {
        id_: np.asarray(vector) / np.linalg.norm(vector)
        for id_, vector in zip(got["ids"], got["embeddings"], strict=True)
    }
    return Contents(rows, vectors)
