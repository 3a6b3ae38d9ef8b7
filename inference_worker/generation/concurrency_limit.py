"""Bounds the calls under way, and refuses at once those that would wait too long to be of use."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_NEWEST = 0.1
"""Weight of the newest call in the running mean of how long calls take."""


class QueueFullError(Exception):
    """So many wait that this call's turn would come too late."""


class ConcurrencyLimit:
    """A bounded number of calls at once; the others wait in the order they came."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self._taken = 0
        self._waiting = 0
        self._mean_seconds = 0.0

    @property
    def taken(self) -> int:
        """Calls under way."""
        return self._taken

    @asynccontextmanager
    async def slot(self, patience: float) -> AsyncIterator[None]:
        """Hold a slot; `patience` is the seconds in which the call must have ended.

        Raises:
            QueueFullError: going by how long calls take, it would not.
        """
        if self._free.locked() and self._expected_seconds() > patience:
            raise QueueFullError
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self._taken += 1
        start = time.monotonic()
        try:
            yield
        finally:
            self._taken -= 1
            self._free.release()
            took = time.monotonic() - start
            weight = _NEWEST if self._mean_seconds else 1.0
            self._mean_seconds += weight * (took - self._mean_seconds)

    def _expected_seconds(self) -> float:
        """Until a call that queues now has ended: those before it in rounds, then itself."""
        rounds = (self._waiting + 1) / self._slots
        return (rounds + 1) * self._mean_seconds
