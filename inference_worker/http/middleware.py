"""The middleware around every request: the limit of its body, its id, metrics and log line."""

import logging
import math
import re
import time
import uuid

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference_worker.answering.metrics import Metrics
from inference_worker.logs.request_fields import begin_request

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_POLLED = ("/healthz", "/readyz", "/metrics")
"""Requested every few seconds by what monitors the service."""
_NO_ROUTE = "none"
"""One label for all unknown paths, of which clients can request any number."""
MAX_DISCARDED_BYTES = 262_144
"""Of a body that arrives after its response; with more, the connection is closed."""


class BodyLimit:
    """Rejects bodies over a limit, before they fill the memory; uploads have another limit.

    Counts the bytes that arrive, whatever Content-Length states.
    """

    def __init__(self, app: ASGIApp, limit: int, upload_limit: int) -> None:
        self._app = app
        self._limit = limit
        self._upload_limit = upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; raises HTTPException 413 if its body exceeds the limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_limit if _is_upload(scope) else self._limit
        arrived, is_complete = 0, False

        async def counted() -> Message:
            nonlocal arrived, is_complete
            message = await receive()
            arrived += len(message.get("body", b""))
            is_complete = not message.get("more_body", False)
            if arrived > limit:
                raise HTTPException(413, f"Send at most {limit:,} bytes.")
            return message

        async def announced(message: Message) -> None:
            is_early = message["type"] == "http.response.start" and not is_complete
            if is_early and _body_bytes(scope) > MAX_DISCARDED_BYTES:
                # The server closes the connection, rather than read what nobody needs.
                message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        await self._app(scope, counted, announced)


def _body_bytes(scope: Scope) -> float:
    """The length of a request's body; infinite if it is not stated."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return math.inf
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def _is_upload(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return scope["method"] in ("PUT", "POST") and path.startswith("/v1/documents")


def identify(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Give a request its id, for error responses and the log.

    The id is the client's X-Request-ID if that is well-formed, or a new one.

    Returns:
        Headers of the response: the id, and one that forbids browsers to guess the media type.
    """
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    scope["request_id"] = request_id
    return [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]


class RequestTracker:
    """Gives each request an id, times it, and writes its line in the log."""

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
        headers = identify(scope)
        address = scope["client"][0] if scope["client"] else ""
        fields = begin_request(request_id=scope["request_id"], address=address, key="")

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *headers]
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            # What is refused was not routed, but its operation is known.
            known = scope.get("route") or scope.get("operation")
            route = getattr(known, "path", _NO_ROUTE)
            seconds = time.perf_counter() - start
            self._metrics.request_seconds.labels(route, str(status)).observe(seconds)
            is_polled = route in _POLLED and status < 400
            log.log(
                logging.DEBUG if is_polled else logging.INFO,
                "%s %s %d",
                scope["method"],
                route,
                status,
                extra={"ms": round(1000 * seconds, 1), **fields},
            )
