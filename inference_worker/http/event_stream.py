"""Sends server-sent events; notices clients that read slowly, stop reading or disconnect."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from typing import Self, TypeVar

import anyio
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

HEARTBEAT_SECONDS = 10.0
"""Longest silence on a stream; most proxies close one after 30 to 60 seconds."""
STALLED_SECONDS = 30.0
"""A client that reads nothing for so long counts as disconnected."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Caches must not store a stream, and proxies such as nginx must not buffer it."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for a client that disconnected; only the log and the metrics show it."""

T = TypeVar("T")


class EventStream(StreamingResponse):
    """Sends events as they arrive; disconnecting closes their source at once.

    Args:
        events: Whole events in the wire format, from `fastapi.sse.format_sse_event`.
        first: An event that was already taken from them.
    """

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], first: bytes = b"") -> None:
        super().__init__(events, headers=HEADERS)
        self._events = events
        self._first = first
        self._active = time.monotonic()

    @classmethod
    async def from_first_event(cls, request: Request, events: AsyncGenerator[bytes, None]) -> Self:
        """Wait for the first event: an exception before it is an error response, not a stream.

        Raises:
            HTTPException: the client disconnected; the events were closed.
        """
        return cls(events, first=await while_connected(request, anext(events)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Starlette cancels `stream_response` when the client disconnects."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Not in `stream_response`: a client that disconnects first cancels that unstarted.
            with anyio.CancelScope(shield=True):
                await self._events.aclose()

    async def stream_response(self, send: Send) -> None:
        """Send events and heartbeats until the events end or the client stops reading."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_alive, send, group.cancel_scope)
            if await self._send_all(send):
                await self._send(send, b"", more=False)
            group.cancel_scope.cancel()

    async def _send_all(self, send: Send) -> bool:
        """Send the events; False if the client stopped reading."""
        if self._first and not await self._send(send, self._first):
            return False
        async for event in self._events:
            if not await self._send(send, event):
                return False
        return True

    async def _send(self, send: Send, event: bytes, *, more: bool = True) -> bool:
        """Send one event; False if the client did not read it in time."""
        with anyio.move_on_after(STALLED_SECONDS) as limit:
            await send({"type": "http.response.body", "body": event, "more_body": more})
        self._active = time.monotonic()
        return not limit.cancelled_caught

    async def _keep_alive(self, send: Send, scope: anyio.CancelScope) -> None:
        """Send a heartbeat after a silence; cancel the stream if the client does not read it."""
        while True:
            await anyio.sleep(HEARTBEAT_SECONDS / 2)
            idle = time.monotonic() - self._active
            if idle > HEARTBEAT_SECONDS / 2 and not await self._send(send, KEEPALIVE_COMMENT):
                scope.cancel()


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Await the work, and cancel it if the client disconnects; the body must have been read.

    Raises:
        HTTPException: the client disconnected.
    """
    working = asyncio.ensure_future(work)
    disconnecting = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, disconnecting}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            disconnecting.result()  # raises if the body was over the limit
            raise HTTPException(CLIENT_CLOSED_REQUEST)
        return working.result()
    finally:
        for task in (working, disconnecting):
            task.cancel()
        await asyncio.wait({working, disconnecting})


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
