"""Returns to the previous index."""

from database.index import rows
from database.index.checks.collection_check import check_collection
from database.index.live_pointer import LivePointer
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.recovery import recover_in_other_process
from database.journal.uploads import Uploads
from utils.errors import IndexMissingError


def rollback(store: Store) -> tuple[LivePointer, int]:
    """Make the previous index live again; a second rollback undoes it.

    Returns:
        The pointer, and the number of documents changed through the API since that index was
        replaced: their changes are undone.

    Raises:
        IndexLockedError: a build is running.
        IndexMissingError: there is no previous index.
        IndexDamagedError: the previous index cannot be read.
    """
    with BuildLock(store) as lock:
        recover_in_other_process(store)
        live, _, _ = store.live_collection()
        previous = store.find(live.previous) if live.previous else None
        if previous is None:
            raise IndexMissingError(
                f"There is no previous index at {store.database}: no build has replaced one yet."
            )
        check_collection(store, previous.name)
        with store.translate_errors():
            # Rows that a killed writer had not made visible must stay invisible.
            rows.delete(previous, rows.unseen(previous, live.previous_revision))
        changed = Uploads(store).visible(live, live.since)
        lock.verify_held()
        return store.set_live(previous.name), len(changed)
