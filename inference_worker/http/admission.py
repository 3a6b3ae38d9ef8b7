"""Admission control: refuses work that could not begin in time, before its body is read.

Work waits for two things: the threads that search, whose queue and speed are known, and the event
loop, which is late if it has more to do than it can. The first is checked again when a search
begins (`answering/answerer.py`), because its request may have taken long to arrive.

The server refuses most requests itself (`server/protocol.py`), at half of what it costs to refuse
them here. Those of web pages come here, as browsers need the CORS headers of `TrustedHosts`.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.problems import OVERLOADED, problem_response

MAX_LATENESS = 0.02
"""Seconds that the event loop may be late on average, while requests wait."""
MEASURING_SECONDS = 0.05
_NEWEST = 0.2
"""Weight of the newest measurement in the average."""
_FEW_REQUESTS = 100
"""Up to this number in progress, or as many as the language model may serve at once, lateness
refuses none: it may have another cause."""
_ALWAYS_ADMITTED = ("/healthz", "/readyz", "/metrics")
"""The operator's view of a saturated service."""


class Load:
    """How much work is in progress, and how late the event loop is.

    Args:
        capacity: The limit that searches wait for.
        max_wait: Seconds within which a search must be expected to finish.
        llm_calls: How many calls of the language model may be in progress at once.
        count_refusal: Counts a refused request.
    """

    def __init__(
        self,
        capacity: ConcurrencyLimit,
        max_wait: float,
        llm_calls: int,
        count_refusal: Callable[[str], None],
    ) -> None:
        self._capacity = capacity
        self._max_wait = max_wait
        self._few = max(_FEW_REQUESTS, llm_calls)
        self._lateness = 0.0
        self._count_refusal = count_refusal
        self.in_progress = 0
        """Admitted requests whose responses are not complete."""

    @property
    def is_saturated(self) -> bool:
        """Whether work that arrives now is refused."""
        if self._capacity.expected_seconds > self._max_wait:
            return True
        return self.in_progress > self._few and self._lateness > MAX_LATENESS

    def refuses(self, scope: Scope) -> bool:
        """Whether a request is refused if it arrives now."""
        return self.is_saturated and not scope["path"].endswith(_ALWAYS_ADMITTED)

    def refusal(self, scope: Scope) -> Response:
        """Count a refused request, and create its response."""
        self._count_refusal(OVERLOADED.type)
        seconds = max(1, math.ceil(self._capacity.expected_seconds))
        return problem_response(Request(scope), OVERLOADED, headers={"Retry-After": str(seconds)})

    @contextmanager
    def progress(self, scope: Scope) -> Iterator[None]:
        """Count an admitted request until its response is complete."""
        self.in_progress += 1
        may_search = scope["method"] == "POST"
        try:
            with self._capacity.announced() if may_search else nullcontext():
                yield
        finally:
            self.in_progress -= 1

    async def watch(self) -> None:
        """Measure the event loop's lateness until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + MEASURING_SECONDS
            await asyncio.sleep(MEASURING_SECONDS)
            self._lateness += _NEWEST * (loop.time() - due - self._lateness)


class Admission:
    """Middleware that refuses requests while the service is saturated."""

    def __init__(self, app: ASGIApp, load: Load) -> None:
        self._app = app
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"].endswith(_ALWAYS_ADMITTED):
            await self._app(scope, receive, send)
        elif self._load.is_saturated:
            await self._load.refusal(scope)(scope, receive, send)
        else:
            with self._load.progress(scope):
                await self._app(scope, receive, send)
