"""A client for streamed answers that takes little CPU.

It reads lines from a socket: with 200 streams, an HTTP library would take more of the cores than
the measured service.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from utils.benchmark.services import QUOTED

_ANSWER_SECONDS = 120.0
"""The timeout of an answer."""


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """The timing of one streamed answer; all but `begun` in seconds from its request."""

    begun: float
    """The time of the request on time.perf_counter's clock."""
    first_event: float
    first_token: float
    whole: float
    failure: str = ""
    """Why it is not a complete answer by the language model; its times are then ignored."""

    @property
    def ended(self) -> float:
        """The time of its last event on time.perf_counter's clock."""
        return self.begun + self.whole


class BrokenStreamError(Exception):
    """The response is not a complete stream of events."""


async def read_events(reader: asyncio.StreamReader) -> AsyncGenerator[tuple[str, bytes], None]:
    """Yield the name and data of each event of one chunked response, without comments.

    Raises:
        BrokenStreamError: the status is not 200, or the response ends within an event.
        IncompleteReadError: the connection ended before the response did.
    """
    status = (await reader.readuntil(b"\r\n\r\n")).split(maxsplit=2)[1].decode()
    if status != "200":
        raise BrokenStreamError(f"status {status}")
    pending = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pending += await reader.readexactly(size)
        await reader.readexactly(2)
        *events, pending = pending.split(b"\n\n")
        for event in events:
            name, _, data = event.partition(b"\ndata: ")
            if name.startswith(b"event: "):
                yield name.removeprefix(b"event: ").decode(), data
    await reader.readuntil(b"\r\n")
    if pending:
        raise BrokenStreamError("ended in the middle of an event")


class StreamingClient:
    """Requests streamed answers over one connection; reconnects after a failure."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def stream(self, question: str) -> StreamedAnswer:
        """Post a question and read the stream to its end; failures are returned, not raised."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._read(begun, question)
        except (OSError, ValueError, BrokenStreamError, EOFError, TimeoutError) as error:
            await self._close()
            failure = str(error) if isinstance(error, BrokenStreamError) else type(error).__name__
            return StreamedAnswer(begun, 0.0, 0.0, time.perf_counter() - begun, failure)

    async def _read(self, begun: float, question: str) -> StreamedAnswer:
        reader = await self._send(question)
        times: dict[str, float] = {}
        last = ("", b"")
        async with aclosing(read_events(reader)) as events:
            async for last in events:
                times.setdefault(last[0], time.perf_counter() - begun)
        whole = time.perf_counter() - begun
        first = min(times.values(), default=0.0)
        return StreamedAnswer(begun, first, times.get("token", 0.0), whole, _failure_of(*last))

    async def _send(self, question: str) -> asyncio.StreamReader:
        if self._reader is None or self._writer is None:
            host, _, port = self._host.partition(":")
            self._reader, self._writer = await asyncio.open_connection(host, int(port))
        body = json.dumps({"question": question, "stream": True}).encode()
        head = (
            f"POST /v1/answers HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        return self._reader

    async def _close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def _failure_of(name: str, data: bytes) -> str:
    """Why a stream with this last event is not a complete answer by the language model, or ""."""
    if name != "answer":
        return f"ended in {name or 'nothing'}"
    answer = json.loads(data)
    return answer["degraded_reason"] or ("quoted" if answer["generator"] == QUOTED else "")
