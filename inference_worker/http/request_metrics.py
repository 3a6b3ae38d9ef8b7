"""Middleware that times every request, by route and status."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference_worker.answering.metrics import Metrics

_NO_ROUTE = "none"
"""One label for all unknown paths, of which clients can request any number."""


class RequestMetrics:
    """Times requests."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            route = getattr(scope.get("route"), "path", _NO_ROUTE)
            seconds = time.perf_counter() - start
            self._metrics.request_seconds.labels(route, str(status)).observe(seconds)
