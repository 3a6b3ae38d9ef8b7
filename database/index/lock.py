"""The build lock, one writer at a time: create_collection succeeds for one caller only.

A build holds the lock for minutes, and other writers fail at once. A change of a few documents
holds it for a moment, and other writers wait for it.
"""

import contextlib
import logging
import threading
import time
import uuid
from typing import Any, Self

from database.index.lock_holder import (
    LockPurpose,
    active_owners,
    describe_holder,
    describe_this_process,
    has_exited,
    is_change,
    is_local,
)
from database.index.store import Store
from utils.errors import DocsQAError, IndexLockedError

log = logging.getLogger(__name__)

LOCK = "build-lock"
HEARTBEAT_SECONDS = 4.0
_TAKEN_OVER_SECONDS = 4 * HEARTBEAT_SECONDS
"""After this long at most, the lock of a writer that died on another machine is taken over."""
_ACQUIRE_SECONDS = 30.0
"""How long a writer waits for the changes of others."""
_POLL_SECONDS = 0.05


class BuildLock:
    """Held while an index is written; taken over from a holder that has died.

    A holder in this PID namespace is dead when its process has exited. Any other is dead when its
    heartbeat has not changed for three intervals, measured with our clock alone: clocks may differ.
    """

    def __init__(
        self,
        store: Store,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        purpose: LockPurpose = "build",
    ) -> None:
        self._store = store
        self._heartbeat_seconds = heartbeat_seconds
        self._holder = describe_this_process(purpose)
        self._released = threading.Event()
        self._heartbeat = threading.Thread(target=self._send_heartbeats, name=LOCK, daemon=True)

    def __enter__(self) -> Self:
        """Acquire the lock.

        Raises:
            IndexLockedError: a living writer keeps the lock; the message names it.
        """
        active_owners.add(self._holder["owner"])
        try:
            self._acquire()
        except BaseException:
            active_owners.discard(self._holder["owner"])
            raise
        self._heartbeat.start()
        return self

    def _acquire(self) -> None:
        deadline = time.monotonic() + _ACQUIRE_SECONDS
        while self._store.create_if_absent(LOCK, self._metadata()) is None:
            holder = read_holder(self._store)
            if holder is None:
                continue
            is_late = time.monotonic() >= deadline
            if self._is_dead(holder, is_late):
                log.info("Taking over the lock of a dead writer: %s", describe_holder(holder))
                self._remove(holder)
            elif is_change(holder) and not is_late:
                time.sleep(_POLL_SECONDS)
            else:
                raise locked_error(self._store, holder)

    def __exit__(self, *error: object) -> None:
        """Release the lock."""
        self._released.set()
        self._heartbeat.join()
        try:
            with contextlib.suppress(DocsQAError):
                self._remove(self._holder)
        finally:
            active_owners.discard(self._holder["owner"])

    def is_held(self) -> bool:
        """False if another writer took over the lock after our heartbeat lapsed."""
        holder = read_holder(self._store)
        return holder is not None and bool(holder.get("owner") == self._holder["owner"])

    def verify_held(self) -> None:
        """Check before a write that the lock is still ours.

        Raises:
            IndexLockedError: another writer took it over after our heartbeat lapsed.
        """
        if not self.is_held():
            raise IndexLockedError(
                "Another writer took over the lock after this process's heartbeat lapsed. Run it "
                "again."
            )

    def _metadata(self) -> dict[str, Any]:
        return self._holder | {"beat": uuid.uuid4().hex}

    def _is_dead(self, holder: dict[str, Any], is_late: bool) -> bool:
        if is_local(holder):
            return has_exited(holder) or (is_change(holder) and is_late and self._is_lapsed(holder))
        return (is_late or not is_change(holder)) and self._is_lapsed(holder)

    def _is_lapsed(self, holder: dict[str, Any]) -> bool:
        return is_heartbeat_stopped(self._store, holder, self._heartbeat_seconds)

    def _remove(self, holder: dict[str, Any]) -> None:
        """Remove a holder's lock, unless another writer has acquired it in the meantime.

        Renamed first, which goes by the collection's id; deletion by name could hit a new lock.
        """
        from chromadb.errors import NotFoundError

        found = self._store.find(LOCK)
        if found is None or (found.metadata or {}).get("owner") != holder["owner"]:
            return
        removed = f"{LOCK}-{uuid.uuid4().hex}"
        try:
            with self._store.translate_errors():
                found.modify(name=removed)
        except NotFoundError:
            return
        self._store.delete(removed)

    def _send_heartbeats(self) -> None:
        while not self._released.wait(self._heartbeat_seconds):
            try:
                collection = self._store.find(LOCK)
                if collection and self.is_held():
                    collection.modify(metadata=self._metadata())
            except DocsQAError:
                continue  # the store is unreachable, for waiting writers too
            except Exception:
                log.exception("A heartbeat of the lock failed")


def is_heartbeat_stopped(store: Store, holder: dict[str, Any], heartbeat_seconds: float) -> bool:
    """True if the holder's heartbeat has not changed for three intervals (blocks that long).

    Raises:
        StoreUnreachableError: the store was unreachable in between, so no heartbeat could arrive.
    """
    for _ in range(3):
        time.sleep(heartbeat_seconds)
        now = read_holder(store)
        if now is None or now.get("beat") != holder.get("beat"):
            return False
    return True


def read_holder(store: Store) -> dict[str, Any] | None:
    """The metadata of the lock's holder; None if the lock is free."""
    collection = store.find(LOCK)
    return dict(collection.metadata or {}) if collection else None


def locked_error(store: Store, holder: dict[str, Any]) -> IndexLockedError:
    """The error of a writer that finds the lock held by a living one."""
    what = "change" if is_change(holder) else "build"
    until = "" if is_local(holder) else f"; if it died, {_TAKEN_OVER_SECONDS:.0f} seconds later"
    return IndexLockedError(
        f"Another {what} is writing {store.database}: {describe_holder(holder)}. "
        "Wait for it to end, then run this again.",
        detail=f"A {what} has been writing the index since {holder.get('since')}. Try again when "
        f"it has ended{until}.",
    )
