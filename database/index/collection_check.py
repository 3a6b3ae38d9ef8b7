"""Checks that a collection can be read, by opening and querying it.

An embedded store is checked in a child process (`embedded_check`), since opening a damaged one can
kill the process.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from database.index.connection import damaged_index_error
from database.index.store import Store
from utils.errors import IndexDamagedError
from utils.settings import PROJECT_ROOT, is_server

_TIMEOUT = 900
"""Seconds; replaying a million rows from Chroma's write-ahead log takes minutes."""


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
        return CollectionCheck(rows=_count_and_query(store, name), seconds_to_open=0.0)
    command = [sys.executable, "-m", "database.index.embedded_check", store.database, name]
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


def _count_and_query(store: Store, name: str) -> int:
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
