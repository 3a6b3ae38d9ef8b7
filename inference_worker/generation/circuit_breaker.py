"""Keeps a dead service from costing every request its timeout.

Closed, every call may go. After so many failures in a row it opens and none may; after a pause one
call goes as a probe, which closes it by succeeding or opens it for another pause by failing.

The libraries looked at (purgatory, aiobreaker) let every waiting request through as a probe; with a
service that hangs, that costs each of them the timeout that the breaker is there to save.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class CircuitOpenError(Exception):
    """No call may be made at present."""


class CircuitBreaker:
    """Lets calls through or not, by how the last ones went."""

    def __init__(
        self,
        name: str,
        *,
        failures: int,
        seconds: float,
        is_failure: Callable[[BaseException], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a closed breaker.

        Args:
            name: What is called, for the log.
            failures: So many in a row open it.
            seconds: Pause before a probe.
            is_failure: Whether an exception speaks against the service; others say nothing.
            clock: Seconds that only grow.
        """
        self._name = name
        self._limit = failures
        self._seconds = seconds
        self._is_failure = is_failure
        self._clock = clock
        self._failures = 0
        self._probe_at: float | None = None
        """When the next probe may go, infinity while one is under way; None while closed."""

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._probe_at is not None

    @contextmanager
    def call(self) -> Iterator[None]:
        """Make a call in here; how it ends counts.

        Raises:
            CircuitOpenError: no call may be made now.
        """
        probing = self.is_open
        if self._probe_at is not None:
            if self._clock() < self._probe_at:
                raise CircuitOpenError
            self._probe_at = float("inf")
        try:
            yield
        except BaseException as error:
            if self._is_failure(error):
                self._failed()
            elif probing and self.is_open:
                self._probe_at = self._clock()  # given up by who asked for it: the next may probe
            raise
        else:
            self.answers()
            self._failures = 0

    def answers(self) -> None:
        """Let the others call too: a call may say so before it has ended, and may yet fail."""
        if self.is_open:
            log.warning("%s answers again", self._name)
        self._probe_at = None

    def _failed(self) -> None:
        self._failures += 1
        if self._failures < self._limit:
            return
        if not self.is_open:
            log.warning(
                "%s failed %d times in a row: asked again in %g s",
                self._name,
                self._failures,
                self._seconds,
            )
        self._probe_at = self._clock() + self._seconds
