"""A local server that speaks Mistral's chat API and fails on request.

    with MistralServer() as server:
        server.script(rate_limited("1"), answer("Yes [1]."))
        ...
        assert len(server.requests) == 2

Calls take the scripted replies in order; once these are used up, `server.default`. It runs in a
thread of its own, so that the code under test may be synchronous, asynchronous or a process.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Request:
    """A call as it arrived; header names are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    time: float
    """Seconds on the monotonic clock."""


@dataclass(frozen=True)
class Reply:
    """What one call gets; a body of None is a chat completion of `text`, or an echo."""

    status: int = 200
    text: str | list[dict[str, str]] | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    then: Literal["send", "cut", "hang"] = "send"


def answer(text: str | list[dict[str, str]] | None = None, *, delay: float = 0.0) -> Reply:
    """Answer with a text or content blocks; without, echo the last message."""
    return Reply(text=text, delay=delay)


def rate_limited(retry_after: str | None = None) -> Reply:
    """429, asking for so many seconds or until such a date."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return failed(429, headers=headers)


def rate_limited_until(seconds: float) -> Reply:
    """429 with Retry-After as an HTTP date that lies so far ahead."""
    return rate_limited(formatdate(time.time() + seconds, usegmt=True))


def failed(status: int = 500, *, headers: Mapping[str, str] | None = None) -> Reply:
    """Fail with a status, and a body that no caller may see."""
    body = json.dumps({"message": "SECRET upstream detail", "code": str(status)}).encode()
    return Reply(status=status, body=body, headers=headers or {})


def refused_key() -> Reply:
    """401, as for a key that is not known."""
    return failed(401)


def body(content: bytes) -> Reply:
    """200 with any bytes: garbage, or JSON of another shape."""
    return Reply(body=content)


def cut() -> Reply:
    """Close the connection in the middle of the body."""
    return Reply(then="cut")


def silence() -> Reply:
    """Never answer."""
    return Reply(then="hang")


class MistralServer:
    """The server; `url` ends in /v1. Enter it to start, leave it to stop."""

    def __init__(self) -> None:
        self.default = answer()
        self.requests: list[Request] = []
        self.max_in_flight = 0
        self.url = ""
        self._in_flight = 0
        self._script: deque[Reply] = deque()
        self._connections: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the Mistral server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def script(self, *replies: Reply) -> None:
        """Queue the replies to the next calls."""
        self._script.extend(replies)

    def reset(self) -> None:
        """Forget script, requests and counts."""
        self._script.clear()
        self.requests.clear()
        self.max_in_flight = 0
        self.default = answer()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: those asyncio makes from a coroutine are reported when cancelled.
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    await self._respond(request, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self._in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self._in_flight)
        try:
            reply = self._script.popleft() if self._script else self.default
            await asyncio.sleep(reply.delay)
            if reply.then == "hang":
                await asyncio.Event().wait()
            content = _response(request, reply)
            writer.write(content[: len(content) // 2] if reply.then == "cut" else content)
            await writer.drain()
            if reply.then == "cut":
                raise ConnectionResetError
        finally:
            self._in_flight -= 1


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    path = head[0].split(" ")[1]
    return Request(path, headers, json.loads(content or b"{}"), time.monotonic())


def _response(request: Request, reply: Reply) -> bytes:
    if request.path != "/v1/chat/completions":
        reply = failed(404)
    content = reply.body if reply.body is not None else _completion(request, reply)
    lines = [
        f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def _completion(request: Request, reply: Reply) -> bytes:
    text = reply.text if reply.text is not None else request.body["messages"][-1]["content"]
    words = sum(len(str(message["content"]).split()) for message in request.body["messages"])
    written = len(str(text).split())
    completion = {
        "id": "cmpl-local",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "tool_calls": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": words,
            "completion_tokens": written,
            "total_tokens": words + written,
        },
    }
    return json.dumps(completion).encode()
