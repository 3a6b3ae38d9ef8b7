"""A simulated provider of a language model: Mistral's chat API at a set pace, with outages.

It runs in its own process and takes little CPU, so that it does not distort the figures of the
service. It is controlled through a second port, which stays open while the API refuses connections.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from utils.benchmark.processes import BenchmarkRun, free_port, running_server, worker_command

HEALTHY, REFUSED, SILENCE = "healthy", "connection refused", "silence"
_BACKLOG = 1024
_SENTENCE = "The documentation says how this is set and what it takes"
_CITED = 3
"""Sentences cite the first so many passages in turn."""

RequestBody = dict[str, Any]
Respond = Callable[[str, RequestBody, asyncio.StreamWriter], Coroutine[Any, Any, bool]]
"""Responds to a path and a body; returns False to close the connection."""


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """A running provider."""

    control: str
    """The address of its control port."""
    port: int
    """The port of its API."""
    process_id: int

    @property
    def api(self) -> str:
        """The base address of its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def settings(self) -> dict[str, str]:
        """Settings with which our service uses it."""
        return {
            "INFERENCE_MODEL": "mistral-large-latest",
            "MISTRAL_BASE_URL": self.api,
            "MISTRAL_API_KEY": "benchmark",
        }

    def switch(self, mode: str) -> None:
        """Switch to HEALTHY, REFUSED or SILENCE, from the next request on."""
        import httpx

        body = {"mode": mode}
        httpx.post(f"{self.control}/control", json=body, trust_env=False).raise_for_status()


@contextmanager
def simulated_provider(run: BenchmarkRun) -> Iterator[SimulatedProvider]:
    """Run a provider at the pace that the run sets.

    Raises:
        DocsQAError: it did not start.
    """
    import httpx

    port = free_port()
    command = worker_command("provider", run, port)
    with running_server("provider", command, port, run, {}) as running:
        ready = httpx.get(f"{running.address}/readyz", trust_env=False).json()
        yield SimulatedProvider(running.address, ready["api_port"], running.process_id)


def serve_provider(run: BenchmarkRun, port: int) -> None:
    """Serve until killed; `port` is the control port."""
    asyncio.run(_Simulation(run).serve(port))


class _Simulation:
    def __init__(self, run: BenchmarkRun) -> None:
        self._run = run
        self._mode = HEALTHY
        self._listening: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        # Bound for good and never listening: reserves the port while the API refuses connections.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        pieces = answer_pieces(run.answer_tokens)
        self._text = "".join(pieces)
        self._chunks = [_chunk(_event({"content": piece}, None)) for piece in pieces]
        last = _event({"content": ""}, "stop", {"usage": _usage(len(pieces))})
        self._last = _chunk(last + b"data: [DONE]\n\n") + _chunk(b"")

    async def serve(self, port: int) -> None:
        await self._listen()
        control = await asyncio.start_server(
            lambda reader, writer: self._converse(reader, writer, self._control), "127.0.0.1", port
        )
        await control.serve_forever()

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(
            lambda reader, writer: self._converse(reader, writer, self._complete),
            *self._reserved.getsockname(),
            backlog=_BACKLOG,
        )

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, respond: Respond
    ) -> None:
        if respond == self._complete:
            self._connections.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await respond(*await _read_request(reader), writer):
                    pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _control(self, path: str, body: RequestBody, writer: asyncio.StreamWriter) -> bool:
        if path == "/control":
            await self._switch(body["mode"])
        return _write_json(writer, {"api_port": self._reserved.getsockname()[1]})

    async def _switch(self, mode: str) -> None:
        self._mode = mode
        if mode == REFUSED and self._listening:
            self._listening.close()
            self._listening = None
            for writer in self._connections:
                writer.transport.abort()
        elif mode != REFUSED and self._listening is None:
            await self._listen()

    async def _complete(self, path: str, body: RequestBody, writer: asyncio.StreamWriter) -> bool:
        if self._mode == SILENCE:
            await writer.wait_closed()
            return False
        if body.get("stream"):
            return await self._stream(writer)
        await asyncio.sleep(self._run.answer_seconds)
        message = {"role": "assistant", "content": self._text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"usage": _usage(self._run.answer_tokens)}
        return _write_json(writer, _frame("chat.completion", choice) | usage)

    async def _stream(self, writer: asyncio.StreamWriter) -> bool:
        """Send tokens at the set pace; several at once after a delay."""
        clock = asyncio.get_running_loop().time
        begin, pace = clock() + self._run.first_token_seconds, self._run.tokens_per_second
        await asyncio.sleep(self._run.first_token_seconds)
        writer.write(_head("text/event-stream", "Transfer-Encoding: chunked"))
        writer.write(_chunk(_event({"role": "assistant", "content": ""}, None)))
        sent = 0
        while sent < len(self._chunks):
            await asyncio.sleep(begin + sent / pace - clock())
            due = max(sent + 1, int((clock() - begin) * pace) + 1)
            writer.write(b"".join(self._chunks[sent:due]))
            sent = due
            await writer.drain()
        writer.write(self._last)
        return True


def answer_pieces(count: int) -> list[str]:
    """The tokens of an answer in sentences with citations."""
    first, *words = _SENTENCE.split()
    tokens = (
        token
        for number in cycle(range(1, _CITED + 1))
        for token in (first, *(f" {word}" for word in words), f" [{number}]", ". ")
    )
    return list(islice(tokens, count))


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, RequestBody]:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").split("\r\n")
    lengths = [h.partition(":")[2] for h in headers if h.lower().startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    return line.split()[1], json.loads(body or b"{}")


def _write_json(writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
    content = json.dumps(body).encode()
    writer.write(_head("application/json", f"Content-Length: {len(content)}") + content)
    return True


def _head(kind: str, header: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{header}\r\n\r\n".encode()


def _chunk(data: bytes) -> bytes:
    """One part of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None, more: dict[str, Any] | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    frame = _frame("chat.completion.chunk", choice) | (more or {})
    return f"data: {json.dumps(frame)}\n\n".encode()


def _frame(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    about = {"id": "benchmark", "object": kind, "created": 0, "model": "benchmark"}
    return about | {"choices": [choice]}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 1 + tokens}
