"""Limits the concurrent calls of the language model; rejects one that cannot finish in time.

A rejected call is no 429: the answer quotes the passages instead, and is marked as degraded.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_NEWEST = 0.1
"""Weight of the newest call in the moving average of call durations."""


class QueueFullError(Exception):
    """So many calls wait that this one could not finish in time."""


class ConcurrencyLimit:
    """Lets a limited number of calls run at once; the others wait in the order of arrival."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self.in_use = 0
        """How many calls are running."""
        self._waiting = 0
        self._mean_seconds = 0.0

    @asynccontextmanager
    async def slot(self, patience: float) -> AsyncIterator[None]:
        """Acquire a slot for one call.

        Args:
            patience: Seconds in which the call must have finished.

        Raises:
            QueueFullError: expected waiting time and duration exceed it.
        """
        rounds = (self._waiting + 1) / self._slots + 1  # those before it, and its own
        if self._free.locked() and rounds * self._mean_seconds > patience:
            raise QueueFullError
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self.in_use += 1
        start = time.monotonic()
        try:
            yield
        finally:
            self.in_use -= 1
            self._free.release()
            seconds = time.monotonic() - start
            weight = _NEWEST if self._mean_seconds else 1.0
            self._mean_seconds += weight * (seconds - self._mean_seconds)
