"""HNSW parameters of the collections: the distance, and when Chroma writes the vectors to disk."""

from typing import Any

SPACE = "cosine"
NEVER_SYNC = 1_000_000
"""sync_threshold of every collection that is written in place. Chroma rewrites a collection's HNSW
files in place each time this many writes have arrived, and a kill during that write destroys them.
Below the threshold the rows are only in Chroma's write-ahead log, from which it rebuilds them."""


def build_configuration(rows: int) -> dict[str, Any]:
    """Configuration of a new collection that writes its HNSW files once, after its last row.

    Args:
        rows: Number of rows that will be added in all; NEVER_SYNC to leave the files unwritten.
    """
    return {"hnsw": {"space": SPACE, "sync_threshold": max(rows, 2)}}


def live_configuration() -> dict[str, Any]:
    """Configuration of a finished index: changes in place never rewrite its HNSW files."""
    return {"hnsw": {"sync_threshold": NEVER_SYNC}}
