"""Hosts, and how they are treated: one request at a time, each a while after the one before."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from dataset.web.http.robots import Robots
from utils.errors import DocumentError

MAX_DELAY = 30.0
"""Seconds between two requests, whatever robots.txt asks for; a guide would take a day."""
MAX_WAIT = 120.0
"""Seconds that a host may make us wait by Retry-After; above, it is left alone in this run."""
_FAILURES_IN_A_ROW = 3

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class HostLeftError(DocumentError):
    """The host is left alone for the rest of the run."""


class Host:
    """A host as this run treats it."""

    def __init__(self, rate: float, sleep: Sleep, clock: Clock = time.monotonic) -> None:
        self.turn = asyncio.Lock()
        """Held during a request and its answer."""
        self.reading_robots = asyncio.Lock()
        self.robots: Robots | None = None
        """None until they were read."""
        self._interval = 1 / rate
        self._sleep, self._clock = sleep, clock
        self._last = float("-inf")
        self._rested = float("-inf")
        self._failures = 0
        self._left = ""

    def obey(self, robots: Robots) -> None:
        """Take the host's rules."""
        self.robots = robots
        self._interval = max(self._interval, min(robots.delay, MAX_DELAY))

    async def wait(self) -> None:
        """Wait until the next request may start."""
        pause = max(self._last + self._interval, self._rested) - self._clock()
        if pause > 0:
            await self._sleep(pause)
        self._last = self._clock()

    def back_off(self, seconds: float) -> None:
        """Let the host rest.

        Raises:
            HostLeftError: it asks for more than we wait.
        """
        if seconds > MAX_WAIT:
            self.leave(f"asks to be left alone for {seconds:.0f} s")
            self.check()
        self._rested = self._clock() + seconds

    def count(self, *, failed: bool) -> None:
        """Count failures in a row; after some the host counts as down."""
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= _FAILURES_IN_A_ROW:
            self.leave(f"failed {_FAILURES_IN_A_ROW} times in a row")

    def leave(self, reason: str) -> None:
        """Ask no more of the host in this run."""
        self._left = self._left or reason

    def check(self) -> None:
        """Raise HostLeftError if the host is left alone."""
        if self._left:
            raise HostLeftError(self._left)
