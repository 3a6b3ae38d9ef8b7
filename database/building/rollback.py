"""Returns to the previous index, or to what the folder alone holds."""

from database.index import rows
from database.index.check import check_collection
from database.index.live_pointer import LivePointer
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.recovery import recover_in_other_process
from database.journal.uploads import Uploads
from utils.errors import IndexMissingError


def rollback(store: Store) -> tuple[LivePointer, int]:
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
        with store.translate_errors():
            # What a writer that died had not made visible must not become so now.
            rows.delete(previous, rows.unseen(previous, live.previous_revision))
        changed = Uploads(store).visible(live, live.since)
        lock.verify_held()
        return store.set_live(previous.name), len(changed)


def return_to_folder(store: Store) -> None:
    """Have builds go by their folder alone: what came through the API so far is void for them.

    Raises:
        IndexLockedError: a build or change is running.
    """
    with BuildLock(store):
        recover_in_other_process(store)  # it goes by what is not void yet
        store.return_to_folder()
