"""Server-sent events to a client that may be slow, silent for long, or gone."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable
from typing import Self, TypeVar

import anyio
from fastapi.sse import KEEPALIVE_COMMENT
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

HEARTBEAT_SECONDS = 10.0
"""Longest silence; proxies mostly give up after 30 to 60."""
STALLED_SECONDS = 30.0
"""A client that takes nothing for so long is taken for gone."""
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
"""Caches must not store a stream, nor proxies (nginx and those like it) collect it."""

CLIENT_CLOSED_REQUEST = 499
"""nginx's status for it; nobody is there to read it but the log."""

T = TypeVar("T")


class EventStream(StreamingResponse):
    """Sends events as they come; closes their source at once when the client leaves."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], first: bytes = b"") -> None:
        """Make a response.

        Args:
            events: Whole events in the wire's format, from `fastapi.sse.format_sse_event`.
            first: What was already taken from them.
        """
        super().__init__(events, headers=HEADERS)
        self._events = events
        self._first = first
        self._active = time.monotonic()

    @classmethod
    async def begun(cls, events: AsyncGenerator[bytes, None]) -> Self:
        """Wait for the first event; what fails before it is an error response, not a stream."""
        return cls(events, first=await anext(events))

    async def stream_response(self, send: Send) -> None:
        """Send events and heartbeats until either side ends; starlette cancels it on leaving."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_alive, send, group.cancel_scope)
                if await self._send_all(send):
                    await self._send(send, b"", more=False)
                group.cancel_scope.cancel()
        finally:
            # Also when the client left while an event was being sent, not made.
            with anyio.CancelScope(shield=True):
                await self._events.aclose()

    async def _send_all(self, send: Send) -> bool:
        """Send the events; False where the client has stopped taking them."""
        if self._first and not await self._send(send, self._first):
            return False
        async for event in self._events:
            if not await self._send(send, event):
                return False
        return True

    async def _send(self, send: Send, event: bytes, *, more: bool = True) -> bool:
        """Send; False where it was not taken in time, and will not be."""
        with anyio.move_on_after(STALLED_SECONDS) as limit:
            await send({"type": "http.response.body", "body": event, "more_body": more})
        self._active = time.monotonic()
        return not limit.cancelled_caught

    async def _keep_alive(self, send: Send, scope: anyio.CancelScope) -> None:
        """Send a heartbeat when nothing was sent for a while; end it all when that is not taken."""
        while True:
            await anyio.sleep(HEARTBEAT_SECONDS / 2)
            idle = time.monotonic() - self._active
            if idle > HEARTBEAT_SECONDS / 2 and not await self._send(send, KEEPALIVE_COMMENT):
                scope.cancel()


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Do the work for as long as its client is there; the body must have been read.

    Raises:
        HTTPException: the client left; the work was cancelled.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            leaving.result()  # raises where it was no leaving: a body over the limit
            raise HTTPException(CLIENT_CLOSED_REQUEST)
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.wait({working, leaving})


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
