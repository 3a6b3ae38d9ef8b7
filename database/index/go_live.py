"""Makes another collection the live one, in one step; and back."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from database.index import rows, word_vectors
from database.index.check import check_collection
from database.index.fingerprint import Fingerprint
from database.index.lock import LOCK, BuildLock
from database.index.store import NEVER_SYNC, Live, Store
from database.journal.purge import remove_orphaned_folders
from database.journal.recovery import recover_in_other_process
from database.journal.uploads import Uploads
from utils.errors import IndexMissingError

if TYPE_CHECKING:
    from chromadb import Collection


def go_live(
    store: Store,
    lock: BuildLock,
    collection: "Collection",
    goal: Fingerprint,
    *,
    keep_previous: bool = True,
) -> Live:
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
    lock.hold_on()
    built_at = goal.built_at or datetime.now(UTC).isoformat(timespec="seconds")
    built = replace(goal, built_at=built_at)
    with store.translated():
        collection.modify(
            metadata=built.to_metadata(), configuration={"hnsw": {"sync_threshold": NEVER_SYNC}}
        )
    live = store.point_at(collection.name, keep_previous=keep_previous)
    for name in store.index_names():
        if name not in {live.name, live.previous}:
            store.delete(name)
    remove_orphaned_folders(store.database)
    for name in store.names(f"{LOCK}-"):  # moved out of the way by one that died then
        store.delete(name)
    word_vectors.delete_orphans(store)
    return live


def rollback(store: Store) -> tuple[Live, int]:
    """Return to the index that was live before; once more, and it is undone.

    Returns:
        The pointer, and how many documents were changed through the API since, which are now as
        they were then.

    Raises:
        IndexLockedError: a build is running.
        IndexMissingError: there is none to return to.
        IndexDamagedError: it cannot be read.
    """
    with BuildLock(store) as lock:
        recover_in_other_process(store)
        live, _, _ = store.live_collection()
        previous = store.find(live.previous) if live.previous else None
        if previous is None:
            raise IndexMissingError(
                f"There is no previous index at {store.database}: none was replaced by a build yet."
            )
        check_collection(store, previous.name)
        with store.translated():
            # What a writer that died had not made visible must not become so now.
            rows.delete(previous, rows.unseen(previous, live.previous_revision))
        changed = Uploads(store).visible(live, live.since)
        lock.hold_on()
        return store.point_at(previous.name), len(changed)


def return_to_folder(store: Store) -> None:
    """Have builds go by their folder alone: what came through the API so far is void for them.

    Raises:
        IndexLockedError: a build or change is running.
    """
    with BuildLock(store):
        recover_in_other_process(store)  # it goes by what is not void yet
        store.return_to_folder()
