"""Makes another collection the live one, in one step."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from database.index import word_vectors
from database.index.fingerprint import Fingerprint
from database.index.hnsw import live_configuration
from database.index.live_pointer import LivePointer
from database.index.lock import LOCK, BuildLock
from database.index.store import Store
from database.index.vector_files import remove_orphaned_folders

if TYPE_CHECKING:
    from chromadb import Collection


def go_live(
    store: Store,
    lock: BuildLock,
    collection: "Collection",
    goal: Fingerprint,
    *,
    keep_previous: bool = True,
) -> LivePointer:
    """Note when it was built, move the pointer, and delete what is older than the one before.

    A goal that says already when it was built was built elsewhere.

    Args:
        store: Where both lie.
        lock: Held by the caller.
        collection: The finished index.
        goal: What it says of itself.
        keep_previous: Whether the index before stays for rollback.

    Raises:
        IndexLockedError: somebody took this process for dead; nothing went live.
    """
    lock.verify_held()
    built_at = goal.built_at or datetime.now(UTC).isoformat(timespec="seconds")
    built = replace(goal, built_at=built_at)
    configuration: Any = live_configuration()
    with store.translate_errors():
        collection.modify(metadata=built.to_metadata(), configuration=configuration)
    live = store.set_live(collection.name, keep_previous=keep_previous)
    for name in store.index_names():
        if name not in {live.name, live.previous}:
            store.delete(name)
    remove_orphaned_folders(store.database)
    for name in store.collection_names(f"{LOCK}-"):  # moved out of the way by one that died then
        store.delete(name)
    word_vectors.delete_orphans(store)
    return live
