"""Detects whether a writer on another machine died, in the background of the requests."""

import logging
import threading
from typing import Any

from database.index.lock import HEARTBEAT_SECONDS, is_heartbeat_stopped, read_holder
from database.index.lock_holder import has_exited, is_local
from database.index.store import Store
from utils.errors import DocsQAError

log = logging.getLogger(__name__)


class WriterMonitor:
    """Watches the heartbeat of the lock's holder in a thread, as requests cannot wait for it."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._beat_every = heartbeat_seconds
        self._last_beat: Any = None
        """The last heartbeat of a writer that died."""
        self._watching: threading.Thread | None = None

    def found_dead(self, store: Store, holder: dict[str, Any]) -> bool:
        """Whether the lock's holder is known to have died.

        On another machine that takes three heartbeats; until then the answer is False.
        """
        if is_local(holder):
            return has_exited(holder)
        if self._last_beat is not None and self._last_beat == holder.get("beat"):
            return True
        if self._watching is None or not self._watching.is_alive():
            self._watching = threading.Thread(
                target=self._follow, args=(store, holder), name="watch-lock", daemon=True
            )
            self._watching.start()
        return False

    def _follow(self, store: Store, holder: dict[str, Any] | None) -> None:
        try:
            while holder is not None and not is_local(holder):
                if is_heartbeat_stopped(store, holder, self._beat_every):
                    self._last_beat = holder.get("beat")
                    return
                holder = read_holder(store)
        except (DocsQAError, RuntimeError):
            return  # the store is unreachable or closed; the next request starts again
        except Exception:
            log.exception("Stopped watching the lock's holder")
