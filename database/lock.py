"""One build at a time: a lock made with create_collection, which has one winner."""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from types import TracebackType
from typing import Any, Self

import psutil

from database.store import Store
from utils.errors import DocsQAError, IndexLockedError

log = logging.getLogger(__name__)

LOCK = "build-lock"
HEARTBEAT_SECONDS = 4.0


class BuildLock:
    """Held while an index is written; taken over from an owner that died.

    An owner on this machine is dead when its process is gone. One elsewhere is dead when its
    heartbeat stands still for three beats, watched with our clock alone, so that clocks may differ.
    """

    def __init__(self, store: Store, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._store = store
        self._beat_every = heartbeat_seconds
        self._owner = _this_process()
        self._released = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="build-lock", daemon=True)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            IndexLockedError: a living build holds it; the message says who.
        """
        while self._store.create_new(LOCK, self._metadata()) is None:
            holder = self._holder()
            if holder is None:
                continue
            if not self._is_dead(holder):
                raise IndexLockedError(
                    f"Another build is writing {self._store.database}: {_describe(holder)}. "
                    "Wait for it to end, then run this again."
                )
            log.info("Taking over from a build that died: %s", _describe(holder))
            self._store.delete(LOCK)
        self._beating.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self._released.set()
        self._beating.join()
        with contextlib.suppress(DocsQAError):
            if self.held():
                self._store.delete(LOCK)

    def held(self) -> bool:
        """Whether the lock is still ours: nobody took us for dead."""
        holder = self._holder()
        return holder is not None and bool(holder["owner"] == self._owner["owner"])

    def _metadata(self) -> dict[str, Any]:
        return self._owner | {"beat": uuid.uuid4().hex}

    def _holder(self) -> dict[str, Any] | None:
        collection = self._store.find(LOCK)
        return dict(collection.metadata or {}) if collection else None

    def _is_dead(self, holder: dict[str, Any]) -> bool:
        if holder.get("host") == self._owner["host"]:
            try:
                process = psutil.Process(int(holder["pid"]))
                return str(process.create_time()) != str(holder["process_started"])
            except psutil.NoSuchProcess:
                return True
        time.sleep(3 * self._beat_every)
        now = self._holder()
        return now is not None and now.get("beat") == holder.get("beat")

    def _beat(self) -> None:
        while not self._released.wait(self._beat_every):
            with contextlib.suppress(DocsQAError):
                collection = self._store.find(LOCK)
                if collection and self.held():
                    collection.modify(metadata=self._metadata())


def _this_process() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "owner": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_started": str(process.create_time()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def _describe(holder: dict[str, Any]) -> str:
    return f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"
