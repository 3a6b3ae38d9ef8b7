"""Limits how many calls run at once; rejects one that is not expected to finish in time."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from utils.errors import OverloadedError

_KEPT = 0.98
"""What earlier calls keep of their weight in the average when a call ends: it covers some fifty, so
that a burst of calls that continue their requests, as when the language model fails, hardly
changes it."""
ANNOUNCED_SECONDS = 0.2
"""How long an announced call counts if it is not made."""
_announcement: ContextVar[object] = ContextVar("announcement", default=None)
"""That of the request in whose context this is read."""


class ConcurrencyLimit:
    """Lets a limited number of calls run at once; the others wait in the order of arrival.

    Args:
        slots: How many calls may run at once.
        mean_seconds: Expected duration of a call; the calls then update it.
    """

    def __init__(self, slots: int, mean_seconds: float = 0.0) -> None:
        self._slots = slots
        self.in_use = 0
        """How many calls are running."""
        self._continuing: deque[asyncio.Future[None]] = deque()
        self._new: deque[asyncio.Future[None]] = deque()
        """What waits for a slot: futures that are done when it has one."""
        self._announced: dict[object, float] = {}
        """The calls that were announced and not made yet, and when they were announced."""
        self._seconds = mean_seconds
        """Of all calls, the older the less."""
        self._new_calls = 1.0 if mean_seconds else 0.0
        """Their number without those that continued a request, weighted alike."""

    @property
    def expected_seconds(self) -> float:
        """Expected waiting time and duration of a new call and those that continue its request.

        All announced calls precede it. 0 if there is a slot for each.
        """
        oldest = time.monotonic() - ANNOUNCED_SECONDS
        return self._expected_seconds(sum(at >= oldest for at in self._announced.values()))

    def _expected_seconds(self, announced: int) -> float:
        before = self.in_use + len(self._new) + announced - self._slots
        if before < 0:
            return 0.0
        rounds = (before + 1) / self._slots + 1  # those before it, and its own
        return rounds * self._seconds / (self._new_calls or 1.0)

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Announce the new call that this context may make: its request has yet to be read.

        Otherwise all requests that arrive together would find the same short queue.
        """
        announcement = object()
        self._announced[announcement] = time.monotonic()
        token = _announcement.set(announcement)
        try:
            yield
        finally:
            _announcement.reset(token)
            self._announced.pop(announcement, None)

    @asynccontextmanager
    async def slot(
        self, patience: float = math.inf, *, continues: bool = False
    ) -> AsyncIterator[None]:
        """Acquire a slot for one call.

        Args:
            patience: Seconds in which the call must have finished.
            continues: It belongs to a request whose earlier call had a slot, and precedes new ones:
                what was begun is finished first.

        Raises:
            OverloadedError: expected waiting time and duration exceed the patience.
        """
        self._announced.pop(_announcement.get(), None)
        if self._expected_seconds(announced=0) > patience:
            raise OverloadedError(f"{len(self._new)} calls wait for {self._slots} slots")
        await self._acquire(self._continuing if continues else self._new)
        start = time.monotonic()
        try:
            yield
        finally:
            self._release()
            self._record(time.monotonic() - start, continues)

    def _record(self, seconds: float, continues: bool) -> None:
        self._seconds = _KEPT * self._seconds + seconds
        self._new_calls = _KEPT * self._new_calls + (0.0 if continues else 1.0)

    async def _acquire(self, queue: deque[asyncio.Future[None]]) -> None:
        if self.in_use < self._slots:
            self.in_use += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had just been given the slot
                self._release()
            elif turn in queue:
                queue.remove(turn)
            raise

    def _release(self) -> None:
        """Give the slot to the next call that waits."""
        for queue in (self._continuing, self._new):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self.in_use -= 1
