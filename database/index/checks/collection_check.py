"""Checks that a collection can be read, by opening and querying it; measures its recall.

An embedded store is checked in a child process (`embedded_check`), since opening a damaged one can
kill the process.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from database.index import rows, word_vectors
from database.index.connection import damaged_index_error
from database.index.fingerprint import Fingerprint
from database.index.rows import Vectors, unit_vectors
from database.index.store import Store
from utils.errors import IndexDamagedError
from utils.settings import PROJECT_ROOT, is_server

if TYPE_CHECKING:
    from chromadb import Collection

_TIMEOUT = 900
"""Seconds; replaying a million rows from Chroma's write-ahead log takes minutes."""
MIN_RECALL = 0.97
"""A recall below it is reported as a problem."""
RECALL_DEPTH = 250
"""Results per vector, as in a search."""
_MAX_RECALL_LOSS = 0.03
"""A greater one is damage; changes in place vary it by less."""
_RECALL_SAMPLE = 50
"""Chunks, and as many words: the graph misses most for short questions."""


@dataclass(frozen=True, slots=True)
class CollectionCheck:
    """The result for a readable collection."""

    rows: int
    seconds_to_open: float
    """From opening the store to the first query's result in a new process, without imports; 0 for a
    server's collection."""


def check_collection(store: Store, name: str) -> CollectionCheck:
    """Open and query a collection that may be damaged.

    Raises:
        IndexDamagedError: it cannot be read.
        StoreUnreachableError: the server does not answer, or crashed on the query.
    """
    if is_server(store.database):
        return CollectionCheck(rows=count_and_query(store, name), seconds_to_open=0.0)
    command = [sys.executable, "-m", "database.index.checks.embedded_check", store.database, name]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            command, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise damaged_index_error(store.database, "is damaged (it does not open)") from error
    if done.returncode != 0:
        reason = f"opening it ended with status {done.returncode}"
        raise damaged_index_error(store.database, f"is damaged ({reason})")
    return CollectionCheck(**json.loads(done.stdout.splitlines()[-1]))


def check_new_collection(store: Store, name: str, chunks: int) -> CollectionCheck:
    """Check a collection before it goes live; it is deleted if the check fails.

    Raises:
        IndexDamagedError: it cannot be read or has another number of chunks.
    """
    try:
        check = check_collection(store, name)
    except IndexDamagedError:
        store.delete(name)
        raise
    if check.rows != chunks:
        store.delete(name)
        raise IndexDamagedError(
            f"The new index contains {check.rows} chunks instead of {chunks}. It did not go live; "
            "run this again."
        )
    return check


def is_readable(store: Store, name: str) -> bool:
    """True if `check_collection` finds no damage."""
    try:
        check_collection(store, name)
    except IndexDamagedError:
        return False
    return True


def measure_recall(store: Store, collection: "Collection") -> float:
    """The share of the RECALL_DEPTH nearest chunks that the graph finds, on average over a sample.

    The sample consists of vectors of chunks and of single words. All vectors are read once.
    """
    asked = _sample(store, collection)
    best = np.full((len(asked), RECALL_DEPTH), -np.inf, dtype=np.float32)
    nearest = np.zeros((len(asked), RECALL_DEPTH), dtype=object)
    for page in rows.pages(collection, ["embeddings"]):
        cosines = asked @ unit_vectors(page["embeddings"]).T
        best = np.concatenate([best, cosines], axis=1)
        ids = np.broadcast_to(np.array(page["ids"], dtype=object), cosines.shape)
        nearest = np.concatenate([nearest, ids], axis=1)
        order = np.argpartition(-best, RECALL_DEPTH - 1, axis=1)[:, :RECALL_DEPTH]
        best = np.take_along_axis(best, order, axis=1)
        nearest = np.take_along_axis(nearest, order, axis=1)
    shares = []
    for vector, ids, cosines in zip(asked, nearest, best, strict=True):
        true = set(ids[np.isfinite(cosines)])
        found: Any = collection.query(query_embeddings=[vector], n_results=RECALL_DEPTH, include=[])
        shares.append(len(true.intersection(found["ids"][0])) / len(true))
    return float(np.mean(shares))


def verify_recall(store: Store, collection: "Collection", fingerprint: Fingerprint) -> None:
    """Check that searches of the graph still find what they found when it went live.

    Raises:
        IndexDamagedError: they find less.
    """
    with store.translate_errors():
        recall = measure_recall(store, collection)
    if recall < fingerprint.recall - _MAX_RECALL_LOSS:
        how = f"is damaged: its graph finds {recall:.2f} of the nearest chunks"
        raise damaged_index_error(store.database, how)


def _sample(store: Store, collection: "Collection") -> Vectors:
    """Unit vectors to search for, (vectors, dimension)."""
    ids: list[str] = collection.get(include=[])["ids"]
    some = ids[:: max(1, len(ids) // _RECALL_SAMPLE)][:_RECALL_SAMPLE]
    chunks = rows.read_vectors(collection, some)
    words = word_vectors.read_word_vectors(store, collection.name)
    if words is None or not len(words[1]):
        return unit_vectors(chunks)
    step = max(1, len(words[1]) // _RECALL_SAMPLE)
    return unit_vectors(np.concatenate([chunks, words[1][::step][:_RECALL_SAMPLE]]))


def count_and_query(store: Store, name: str) -> int:
    """Count the rows, and query one of them by its own vector."""
    with store.translate_errors():
        collection = store.find(name)
        if collection is None:
            raise IndexDamagedError(f"There is no collection {name} at {store.database}.")
        count = collection.count()
        sample: Any = collection.get(limit=1, include=["embeddings"])
        if not sample["ids"]:
            return count
        found = collection.query(query_embeddings=sample["embeddings"], n_results=1)
        if not found["ids"][0]:
            raise IndexDamagedError(f"A query with a stored vector finds nothing in {name}.")
        return count
