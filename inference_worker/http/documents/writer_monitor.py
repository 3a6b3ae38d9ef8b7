"""Finds out whether a writer on another machine died, without a request having to wait for it."""

import logging
import threading
from typing import Any

from database.index.lock import HEARTBEAT_SECONDS, is_heartbeat_stopped, read_holder
from database.index.lock_holder import has_exited, is_local
from database.index.store import Store
from utils.errors import DocsQAError

log = logging.getLogger(__name__)


class WriterMonitor:
    """Finds out in the background whether a writer died, for those who cannot wait for it."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._beat_every = heartbeat_seconds
        self._last_beat: Any = None
        """The last beat of a writer that died."""
        self._watching: threading.Thread | None = None

    def found_dead(self, store: Store, holder: dict[str, Any]) -> bool:
        """Whether a holder is known to have died.

        Of one elsewhere the first to ask cannot know: who asks three beats later can.
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
            return  # the store was away: who asks next begins anew; or it was closed
        except Exception:
            log.exception("A writer elsewhere is watched no more")
