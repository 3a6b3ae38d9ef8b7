"""Limits the requests to each host: their number at a time, and the interval between them."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from dataset.web.http.robots import Robots
from utils.errors import DocumentError

MAX_DELAY = 30.0
"""Maximum seconds between two requests, whatever robots.txt requires: else a guide takes a day."""
MAX_WAIT = 120.0
"""Maximum Retry-After in seconds; above it, the host is skipped for the rest of the run."""
_FAILURES_IN_A_ROW = 3
"""For each of the requests at a time."""
_FIRST_SLOW_INTERVAL, _LAST_SLOW_INTERVAL = 0.05, 0.5
"""Seconds between two requests to a host that refuses them as too many."""

Sleep = Callable[[float], Awaitable[None]]


class HostLeftError(DocumentError):
    """The host is skipped for the rest of the run."""


class Host:
    """The state of a host in this run."""

    def __init__(self, rate: float, at_once: int, sleep: Sleep) -> None:
        self.turn = asyncio.Semaphore(at_once)
        """Acquired during a request and its response."""
        self.reached = False
        """True once it has responded."""
        self.reading_robots = asyncio.Lock()
        self.robots: Robots | None = None
        """None until they are read."""
        self._interval = 1 / rate
        self._max_failures = _FAILURES_IN_A_ROW * at_once
        self._sleep = sleep
        self._starting = asyncio.Lock()
        self._last = float("-inf")
        self._paused_until = float("-inf")
        self._failures = 0
        self._left = ""

    def obey(self, robots: Robots) -> None:
        """Set the host's rules."""
        self.robots = robots
        if robots.delay:
            self.turn = asyncio.Semaphore()
            self._interval = max(self._interval, min(robots.delay, MAX_DELAY))

    async def wait(self) -> None:
        """Wait until the next request may start."""
        async with self._starting:
            pause = max(self._last + self._interval, self._paused_until) - time.monotonic()
            if pause > 0:
                await self._sleep(pause)
            self._last = time.monotonic()

    def back_off(self, seconds: float, *, too_many: bool) -> None:
        """Send no request for some seconds, and fewer afterwards if there were `too_many`.

        Raises:
            HostLeftError: the pause exceeds MAX_WAIT.
        """
        if seconds > MAX_WAIT:
            self.leave(f"requires a pause of {seconds:.0f} s")
            self.check()
        now = time.monotonic()
        # Several requests that are refused together count once.
        if too_many and now >= self._paused_until:
            slower = min(max(2 * self._interval, _FIRST_SLOW_INTERVAL), _LAST_SLOW_INTERVAL)
            self._interval = max(self._interval, slower)
        self._paused_until = max(self._paused_until, now + seconds)

    def count(self, *, failed: bool) -> None:
        """Count consecutive failures; after some the host counts as down."""
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= self._max_failures:
            self.leave(f"failed {self._failures} times in a row")

    def leave(self, reason: str) -> None:
        """Skip the host for the rest of the run."""
        self._left = self._left or reason

    def check(self) -> None:
        """Raise HostLeftError if the host is skipped."""
        if self._left:
            raise HostLeftError(self._left)
