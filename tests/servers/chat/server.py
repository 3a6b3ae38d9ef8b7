"""A local server for the chat API of a language model, with scripted replies and failures.

    with MistralServer() as server:
        server.script(rate_limited("1"), answer("Yes [1]."))
        ...
        assert len(server.requests) == 2

Calls get the scripted replies in order, and then `server.default`. The server runs in a
separate thread, so the code under test may be synchronous, asynchronous or a process.
"""

import asyncio
import contextlib
import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from tests.servers.chat.completion import Completion, Stream
from tests.servers.chat.connection import WatchfulReader, chunk, head, read_request, reset
from tests.servers.chat.replies import SECRET, Reply, Request, Script, answer


class ScriptedServer(ABC):
    """A server with scripted replies, a context manager; `url` is its clients' base URL."""

    base: ClassVar[str] = ""
    bind_address: ClassVar[tuple[str, int]] = ("127.0.0.1", 0)

    def __init__(self) -> None:
        self.default: Script = answer()
        self.requests: list[Request] = []
        self.connections = 0
        """The number of connections opened."""
        self.in_flight = 0
        """Calls whose reply is not complete."""
        self.max_in_flight = 0
        self.left = 0
        """Calls whose client closed the connection before the reply was complete."""
        self.url = ""
        self._script: deque[Script] = deque()
        self._conversations: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the chat server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def script(self, *replies: Script) -> None:
        """Queue the replies to the next calls."""
        self._script.extend(replies)

    def reset(self) -> None:
        """Clear script, requests and counts."""
        self._script.clear()
        self.requests.clear()
        self.connections = self.max_in_flight = self.left = 0
        self.default = answer()

    async def idle(self, *, within: float = 1.0) -> None:
        """Wait until no call is in flight.

        Raises:
            TimeoutError: calls are in flight after the given seconds.
        """
        if not await asyncio.to_thread(self._idle.wait, within):
            raise TimeoutError(f"{self.in_flight} calls are in flight after {within:g} s")

    # HTTP.

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(
            lambda: asyncio.StreamReaderProtocol(WatchfulReader(), self._accept),
            *self.bind_address,
            backlog=512,
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{self.base}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)
        await server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # An explicit task: those asyncio makes from a coroutine are reported when cancelled.
        assert isinstance(reader, WatchfulReader)
        self.connections += 1
        task = asyncio.create_task(self._converse(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _converse(self, reader: WatchfulReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    request = await read_request(reader)
                    self.requests.append(request)
                    if not await self._attend(request, reader, writer):
                        return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _attend(
        self, request: Request, reader: WatchfulReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Reply unless the client disconnects; True if the connection can be reused."""
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._idle.clear()
        replying = asyncio.create_task(self._reply(request, writer))
        first_of: set[asyncio.Future[Any]] = {replying, reader.gone}
        try:
            await asyncio.wait(first_of, return_when=asyncio.FIRST_COMPLETED)
            if replying.done() and not isinstance(replying.exception(), ConnectionError):
                return replying.result()
            self.left += 1
            return False
        finally:
            replying.cancel()
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def _reply(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        script = self._script.popleft() if self._script else self.default
        reply = script if isinstance(script, Reply) else script(request)
        await asyncio.sleep(reply.delay)
        if reply.then == "leave":
            return False
        if reply.then == "hang" and reply.after is None:
            await asyncio.Event().wait()  # never set
        await self._send(request, self.adapt(request, reply), writer)
        if reply.then == "hang":
            await asyncio.Event().wait()
        if reply.then == "reset":
            await reset(writer)
        return not reply.breaks_off

    @abstractmethod
    def adapt(self, request: Request, reply: Reply) -> Reply:
        """The reply to send: the scripted one, or the API's refusal of the request."""

    @abstractmethod
    def body_of(self, request: Request, reply: Reply) -> bytes:
        """The body of an unstreamed reply."""

    async def _send(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> None:
        content = self.body_of(request, reply)
        kind = {"Content-Type": "application/json", "Content-Length": len(content)}
        start = head(reply.status, {**kind, **reply.headers})
        writer.write(start + (content[: len(content) // 2] if reply.breaks_off else content))
        await writer.drain()


class ChatServer(ScriptedServer):
    """A chat API, whose format each subclass implements."""

    base = "/v1"
    endpoint: ClassVar[str] = "/chat/completions"
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"

    def streams(self, request: Request) -> bool:
        """True if a request asks for a stream."""
        return bool(request.body.get("stream"))

    @abstractmethod
    def whole(self, completion: Completion) -> Mapping[str, Any]:
        """The body of an unstreamed answer."""

    @abstractmethod
    def stream(self, completion: Completion) -> Stream:
        """The events of a streamed answer."""

    @abstractmethod
    def error(self, status: int, detail: str) -> Mapping[str, Any]:
        """The body of an error response."""

    @abstractmethod
    def too_long(self) -> Mapping[str, Any]:
        """The body of the error for a request longer than the context."""

    def event(self, data: str) -> bytes:
        """Frame the data of one event."""
        return f"data: {data}\n\n".encode()

    def error_event(self) -> bytes:
        """The event of an error during a stream."""
        return self.event(json.dumps(self.error(500, SECRET)))

    # HTTP.

    def adapt(self, request: Request, reply: Reply) -> Reply:
        return reply if request.path == self.base + self.endpoint else Reply(status=404)

    async def _send(self, request: Request, reply: Reply, writer: asyncio.StreamWriter) -> None:
        if reply.status == 200 and reply.body is None and self.streams(request):
            await self._send_stream(request, reply, writer)
        else:
            reply = Reply(status=500) if reply.then == "error" else reply
            await super()._send(request, reply, writer)

    def body_of(self, request: Request, reply: Reply) -> bytes:
        if reply.body is not None:
            return reply.body
        if reply.too_long:
            return json.dumps(self.too_long()).encode()
        if reply.status != 200:
            return json.dumps(self.error(reply.status, SECRET)).encode()
        if reply.then == "nothing":
            return b""
        if reply.then == "garble":
            return reply.garbage.encode()
        pieces = reply.written(request)
        if reply.then == "stop":
            return json.dumps(self.whole(Completion(request, pieces[: reply.after], None))).encode()
        return json.dumps(self.whole(Completion(request, pieces, reply.finish))).encode()

    async def _send_stream(
        self, request: Request, reply: Reply, writer: asyncio.StreamWriter
    ) -> None:
        kind = {"Content-Type": self.stream_type, "Transfer-Encoding": "chunked"}
        first, *others = self._steps(request, reply)
        writer.write(head(reply.status, {**kind, **reply.headers}) + first)
        if not reply.between:
            others = [b"".join(others)]
        for step in others:
            await writer.drain()
            await asyncio.sleep(reply.between)
            writer.write(step)
        await writer.drain()

    def _steps(self, request: Request, reply: Reply) -> list[bytes]:
        """The bytes of each write: one piece, with the opening and closing events."""
        written = reply.written(request)
        stream = self.stream(Completion(request, written, reply.finish))
        before = len(written) // 2 if reply.after is None else reply.after
        pieces = list(stream.pieces)
        opening, closing = stream.opening, stream.closing
        if reply.then == "nothing":
            opening, pieces, closing = (), [], ()
        elif reply.then == "garble":
            pieces.insert(before, self.event(reply.garbage))
        elif reply.then != "send":
            pieces = pieces[:before] + ([self.error_event()] if reply.then == "error" else [])
            closing = ()
        steps = [chunk(piece) for piece in pieces] or [b""]
        steps[0] = b"".join(map(chunk, opening)) + steps[0]
        steps[-1] += b"".join(map(chunk, closing)) + (b"" if reply.breaks_off else chunk(b""))
        return steps
