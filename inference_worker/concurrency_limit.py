"""Limits how many calls run at once; rejects one that is not expected to finish in time."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from utils.errors import OverloadedError

_NEWEST = 0.1
"""Weight of the newest call in the moving average of call durations."""


class ConcurrencyLimit:
    """Lets a limited number of calls run at once; the others wait in the order of arrival.

    Args:
        slots: How many calls may run at once.
        mean_seconds: Expected duration of a call; the calls then update it.
    """

    def __init__(self, slots: int, mean_seconds: float = 0.0) -> None:
        self._slots = slots
        self._free = asyncio.Semaphore(slots)
        self.in_use = 0
        """How many calls are running."""
        self._waiting = 0
        self._mean_seconds = mean_seconds

    @property
    def expected_seconds(self) -> float:
        """Expected waiting time and duration of a call that begins now; 0 if a slot is free."""
        if not self._free.locked():
            return 0.0
        rounds = (self._waiting + 1) / self._slots + 1  # those before it, and its own
        return rounds * self._mean_seconds

    @asynccontextmanager
    async def slot(self, patience: float = math.inf) -> AsyncIterator[None]:
        """Acquire a slot for one call.

        Args:
            patience: Seconds in which the call must have finished.

        Raises:
            OverloadedError: expected waiting time and duration exceed it.
        """
        if self.expected_seconds > patience:
            raise OverloadedError(f"{self._waiting} calls wait for {self._slots} slots")
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
