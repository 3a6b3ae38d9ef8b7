"""A circuit breaker: a language model that is down does not cost every request its timeout.

Closed, it lets every call through. After a number of consecutive failures it opens and blocks all;
after a pause it lets one call through as a probe, which closes it or opens it for another pause.

Existing libraries (purgatory, aiobreaker) let every waiting request through as a probe: with a
service that hangs, each of them pays the timeout that a breaker is meant to save.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from inference_worker.generation.provider_errors import AttemptError

log = logging.getLogger(__name__)


class CircuitOpenError(Exception):
    """The breaker is open and blocks calls."""


class CircuitBreaker:
    """Lets calls through or blocks them, depending on how the last ones ended.

    Args:
        failures: Consecutive failures of the service that open the breaker.
        seconds: Pause before a probe.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        *,
        failures: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._probe_at: float | None = None
        """Earliest time of the next probe; infinity while one is running, None while closed."""

    @property
    def is_open(self) -> bool:
        """Whether calls are blocked."""
        return self._probe_at is not None

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wrap one call and record how it ends.

        Raises:
            CircuitOpenError: the call is blocked.
        """
        probing = self.is_open
        if self._probe_at is not None:
            if self._clock() < self._probe_at:
                raise CircuitOpenError
            self._probe_at = float("inf")
        try:
            yield
        except BaseException as error:
            if isinstance(error, AttemptError) and error.blames_service:
                self._failed()
            elif probing and self.is_open:
                self._probe_at = self._clock()  # cancelled: the next call may probe
            raise
        else:
            self.close()
            self._failures = 0

    def close(self) -> None:
        """Let all calls through: also for a call that has its first result, and may still fail."""
        if self.is_open:
            log.warning("The language model responds again")
        self._probe_at = None

    def _failed(self) -> None:
        self._failures += 1
        if self._failures < self._limit:
            return
        if not self.is_open:
            message = "The language model failed %d times in a row: next call in %g s"
            log.warning(message, self._failures, self._seconds)
        self._probe_at = self._clock() + self._seconds
