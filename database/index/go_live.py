"""Makes a new collection the live one, in one step."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from database.index import word_vectors
from database.index.checks.collection_check import MIN_RECALL, RECALL_DEPTH, measure_recall
from database.index.digests import digests_of
from database.index.fingerprint import Fingerprint
from database.index.live_pointer import LivePointer
from database.index.lock import LOCK, BuildLock
from database.index.store import MAX_EXACT_CHUNKS, NEVER_SYNC, Store
from database.index.vector_files import remove_orphaned_folders

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)


def go_live(
    store: Store,
    lock: BuildLock,
    collection: "Collection",
    target: Fingerprint,
    *,
    keep_previous: bool = True,
) -> LivePointer:
    """Finish a collection's metadata, move the pointer, and delete older collections.

    Its metadata gets the digests of its rows, by which damage is detected. The recall of a
    collection that readers search through its graph is measured and reported.
    The caller holds the lock. `target` is the fingerprint; its `built_at` is set for an index that
    was built elsewhere. The previous index is kept for rollback unless `keep_previous` is False.

    Raises:
        IndexLockedError: another writer took over the lock after our heartbeat lapsed; nothing
            went live.
    """
    recall = _recall(store, collection, target.chunks)
    with store.translate_errors():
        digests = str(digests_of(collection))
    lock.verify_held()
    built_at = target.built_at or datetime.now(UTC).isoformat(timespec="seconds")
    built = replace(target, built_at=built_at, recall=recall, digests=digests, cleaned=0)
    configuration: Any = {"hnsw": {"sync_threshold": NEVER_SYNC}}
    with store.translate_errors():
        collection.modify(metadata=built.to_metadata(), configuration=configuration)
    # Move the pointer: from here on readers use the new collection.
    live = store.set_live(collection.name, keep_previous=keep_previous)
    # Delete what no reader and no rollback needs.
    for name in store.index_names():
        if name not in {live.name, live.previous}:
            store.delete(name)
    remove_orphaned_folders(store.database)
    for name in store.collection_names(f"{LOCK}-"):  # of writers killed while removing a lock
        store.delete(name)
    word_vectors.delete_orphans(store)
    return live


def write_missing_digests(store: Store) -> None:
    """Write the digests of a live index of an older version; the caller holds the lock."""
    live, collection, fingerprint = store.live_collection()
    if not fingerprint.digests:
        with store.translate_errors():
            digests = str(digests_of(collection, live.revision))
            collection.modify(metadata=replace(fingerprint, digests=digests).to_metadata())


def _recall(store: Store, collection: "Collection", chunks: int) -> float:
    """The recall of searches; a low one is reported."""
    if chunks <= MAX_EXACT_CHUNKS:
        return 1.0
    with store.translate_errors():
        recall = measure_recall(store, collection)
    level = logging.INFO if recall >= MIN_RECALL else logging.WARNING
    log.log(level, "Chroma's graph finds %.3f of the %d nearest chunks", recall, RECALL_DEPTH)
    return recall
