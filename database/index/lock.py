"""One writer at a time: a lock made with create_collection, which has one winner.

A build holds it for minutes, and whoever comes meanwhile leaves. A change of a few documents holds
it for a moment, and is waited for.
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psutil

from database.index.store import Store
from utils.errors import DocsQAError, IndexLockedError

log = logging.getLogger(__name__)

LOCK = "build-lock"
HEARTBEAT_SECONDS = 4.0
ACQUIRE_SECONDS = 30.0
"""Seconds that a writer waits for others' changes."""
_GLANCE = 0.05
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_held_here: set[str] = set()
"""The owners that this process is at present."""

LockPurpose = Literal["build", "change"]


class BuildLock:
    """Held while an index is written; taken over from an owner that died.

    An owner on this machine is dead when its process is gone. One elsewhere is dead when its
    heartbeat stands still for three beats, watched with our clock alone, so that clocks may differ.
    """

    def __init__(
        self,
        store: Store,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        purpose: LockPurpose = "build",
        patience: float = ACQUIRE_SECONDS,
    ) -> None:
        self._store = store
        self._beat_every = heartbeat_seconds
        self._patience = patience
        self._owner = _this_process() | {"purpose": purpose}
        self._released = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="build-lock", daemon=True)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            IndexLockedError: a living writer holds it, and keeps it; the message says who.
        """
        _held_here.add(self._owner["owner"])
        try:
            self._take()
        except BaseException:
            _held_here.discard(self._owner["owner"])
            raise
        self._beating.start()
        return self

    def _take(self) -> None:
        tired = time.monotonic() + self._patience
        while self._store.create_if_absent(LOCK, self._metadata()) is None:
            holder = read_holder(self._store)
            if holder is None:
                continue
            waited = time.monotonic() >= tired
            if self._is_dead(holder, waited):
                log.info("Taking over from a writer that died: %s", describe_holder(holder))
                self._take_away(holder)
            elif is_change(holder) and not waited:
                time.sleep(_GLANCE)
            else:
                raise locked_error(self._store, holder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self._released.set()
        self._beating.join()
        try:
            with contextlib.suppress(DocsQAError):
                self._take_away(self._owner)
        finally:
            _held_here.discard(self._owner["owner"])

    def is_held(self) -> bool:
        """Whether the lock is still ours: nobody took us for dead."""
        holder = read_holder(self._store)
        return holder is not None and bool(holder.get("owner") == self._owner["owner"])

    def verify_held(self) -> None:
        """Make sure that the lock is still ours, before something is written.

        Raises:
            IndexLockedError: somebody took us for dead, and writes now.
        """
        if not self.is_held():
            raise IndexLockedError("Another writer took this one for dead. Run it again.")

    def _metadata(self) -> dict[str, Any]:
        return self._owner | {"beat": uuid.uuid4().hex}

    def _is_dead(self, holder: dict[str, Any], waited: bool) -> bool:
        if is_on_this_machine(holder):
            return has_exited(holder) or (is_change(holder) and waited and self._is_still(holder))
        return (waited or not is_change(holder)) and self._is_still(holder)

    def _is_still(self, holder: dict[str, Any]) -> bool:
        return is_heartbeat_stopped(self._store, holder, self._beat_every)

    def _take_away(self, holder: dict[str, Any]) -> None:
        """Remove a holder's lock, unless somebody else was faster and holds it by now.

        It is moved out of the way first: by its id, which is another's if another took it.
        """
        from chromadb.errors import NotFoundError

        found = self._store.find(LOCK)
        if found is None or (found.metadata or {}).get("owner") != holder["owner"]:
            return
        gone = f"{LOCK}-{uuid.uuid4().hex}"
        try:
            with self._store.translate_errors():
                found.modify(name=gone)
        except NotFoundError:
            return
        self._store.delete(gone)

    def _beat(self) -> None:
        while not self._released.wait(self._beat_every):
            try:
                collection = self._store.find(LOCK)
                if collection and self.is_held():
                    collection.modify(metadata=self._metadata())
            except DocsQAError:
                continue  # the store is away; whoever waits for us cannot look either
            except Exception:
                log.exception("A beat of the lock was lost")


def is_heartbeat_stopped(store: Store, holder: dict[str, Any], beat_every: float) -> bool:
    """Whether a holder's heart has stopped; looking takes three beats.

    Raises:
        StoreUnreachableError: the store was away in between, so that nobody could beat.
    """
    for _ in range(3):
        time.sleep(beat_every)
        now = read_holder(store)
        if now is None or now.get("beat") != holder.get("beat"):
            return False
    return True


def read_holder(store: Store) -> dict[str, Any] | None:
    """Who holds the lock; None where it is free."""
    collection = store.find(LOCK)
    return dict(collection.metadata or {}) if collection else None


def locked_error(store: Store, holder: dict[str, Any]) -> IndexLockedError:
    """What to say to whoever comes while a living writer holds the lock."""
    what = "change" if is_change(holder) else "build"
    return IndexLockedError(
        f"Another {what} is writing {store.database}: {describe_holder(holder)}. "
        "Wait for it to end, then run this again."
    )


def is_change(holder: dict[str, Any]) -> bool:
    """Whether the holder changes a few documents; else it builds."""
    return holder.get("purpose") == "change"


def describe_holder(holder: dict[str, Any]) -> str:
    """Name a holder for a person."""
    return f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"


def is_on_this_machine(holder: dict[str, Any]) -> bool:
    """Whether the holder is, or was, a process of this machine."""
    return bool(holder.get("host") == socket.gethostname())


def has_exited(holder: dict[str, Any]) -> bool:
    """Whether the holder was of this machine and ended, or let go when the store was away."""
    if not is_on_this_machine(holder):
        return False
    pid = int(holder["pid"])
    born = _born(pid)
    if not psutil.pid_exists(pid):
        return True
    # The versions before noted no such thing, and some systems hide it of others' processes.
    if born and holder.get("born") and born != holder["born"]:
        return True
    return pid == os.getpid() and holder.get("owner") not in _held_here


def _born(pid: int) -> str:
    """When a process began, as no step of the clock changes it; "" where that cannot be read.

    Since the machine booted, that is, and which boot it was: a moment of the clock would be
    computed from the clock of now.
    """
    if not _BOOT.exists():
        try:
            return str(psutil.Process(pid).create_time())
        except psutil.Error:
            return ""
    try:
        _, _, after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")
        # Its 22nd field; the name, which may hold anything, is the second.
        return f"{_BOOT.read_text().strip()}/{int(after_name.split()[19])}"
    except OSError:
        return ""


def _this_process() -> dict[str, Any]:
    return {
        "owner": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
