"""A simulated provider of a language model: Mistral's chat API, at a set pace, failing on request.

It runs in a process of its own and is cheap, so that it takes little from the cores that the
service is measured on. Its API has a port apart from the one it is controlled through, because a
provider that refuses connections must still hear that it is to come back.
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

from utils.benchmark.processes import BenchmarkRun, free_port, server, worker_command

HEALTHY = "healthy"
REFUSED, SILENCE, HALF = "connection refused", "silence", "dies half-way"
EMPTY, GARBAGE = "empty answer", "garbage"
_REFUSALS = {
    "429, Retry-After 60": ("429 Too Many Requests", "Retry-After: 60\r\n", "rate limited"),
    "429": ("429 Too Many Requests", "", "rate limited"),
    "500": ("500 Internal Server Error", "", "internal error"),
    "401": ("401 Unauthorized", "", "unauthorized"),
    "400, context too long": ("400 Bad Request", "", "prompt exceeds the maximum context length"),
}
FAILURES = (*_REFUSALS, SILENCE, REFUSED, HALF, GARBAGE, EMPTY)
"""The modes in which it fails, each in its way, beside HEALTHY."""

_BACKLOG = 1024
_SENTENCE = [
    "The",
    " documentation",
    " says",
    " how",
    " this",
    " is",
    " set",
    " and",
    " what",
    " it",
    " takes",
    " [{}]",
    ". ",
]
_CITED = 3
"""Sentences cite the first so many passages in turn."""
_JSON = "application/json"

RequestBody = dict[str, Any]
WriteReply = Callable[[str, RequestBody, asyncio.StreamWriter], Coroutine[Any, Any, bool]]
"""Answers a path and a body; tells whether the connection is still good."""


@dataclass(frozen=True, slots=True)
class SimulatedProvider:
    """The provider as the benchmark sees it."""

    control: str
    """Where it hears what to do."""
    port: int
    """Where its API is."""
    process_id: int

    @property
    def api(self) -> str:
        """The base address of its API."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def settings(self) -> dict[str, str]:
        """What makes our service use it."""
        return {
            "INFERENCE_MODEL": "mistral-large-latest",
            "MISTRAL_BASE_URL": self.api,
            "MISTRAL_API_KEY": "benchmark",
        }

    def turn(self, mode: str) -> None:
        """Have it be healthy or fail, from the next request on."""
        import httpx

        body = {"mode": mode}
        httpx.post(f"{self.control}/control", json=body, trust_env=False).raise_for_status()


@contextmanager
def simulated_provider(job: BenchmarkRun) -> Iterator[SimulatedProvider]:
    """Run a provider at the job's pace.

    Raises:
        DocsQAError: it did not start.
    """
    import httpx

    port = free_port()
    with server("provider", worker_command("provider", job, port), port, job, {}) as running:
        ready = httpx.get(f"{running.address}/readyz", trust_env=False).json()
        yield SimulatedProvider(running.address, ready["api_port"], running.process_id)


def serve_provider(job: BenchmarkRun, port: int) -> None:
    """Serve until killed; `port` is the one for control."""
    asyncio.run(_Simulation(job).serve(port))


class _Simulation:
    def __init__(self, job: BenchmarkRun) -> None:
        self._job = job
        self._mode = HEALTHY
        self._listening: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        # Bound for good and never listening: while the API refuses connections, nobody else's
        # connection may come to lie on its port.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        pieces = answer_pieces(job.answer_tokens)
        self._text = "".join(pieces)
        self._chunks = [_chunk(_event({"content": piece}, None)) for piece in pieces]
        usage = {"usage": _usage(len(pieces))}
        self._last = _chunk(_event({"content": ""}, "stop", usage) + b"data: [DONE]\n\n")

    async def serve(self, port: int) -> None:
        await self._listen()
        control = await asyncio.start_server(
            lambda reader, writer: self._converse(reader, writer, self._obey), "127.0.0.1", port
        )
        await control.serve_forever()

    async def _listen(self) -> None:
        self._listening = await asyncio.start_server(
            lambda reader, writer: self._converse(reader, writer, self._complete),
            *self._place.getsockname(),
            backlog=_BACKLOG,
        )

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: WriteReply
    ) -> None:
        if reply == self._complete:
            self._connections.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await reply(*await _read_request(reader), writer):
                    pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _obey(self, path: str, body: RequestBody, writer: asyncio.StreamWriter) -> bool:
        if path == "/control":
            await self._turn(body["mode"])
        return _write_json(writer, "200 OK", {"api_port": self._place.getsockname()[1]})

    async def _turn(self, mode: str) -> None:
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
        if self._mode in _REFUSALS:
            status, headers, message = _REFUSALS[self._mode]
            return _write_json(writer, status, {"object": "error", "message": message}, headers)
        if self._mode == GARBAGE:
            return _write(writer, "200 OK", _JSON, b"<html>Welcome</html>")
        if body.get("stream"):
            return await self._stream(writer)
        written = self._mode != EMPTY
        await asyncio.sleep(self._job.answer_seconds if written else self._job.first_token_seconds)
        return self._send_whole(writer, self._text if written else "")

    def _send_whole(self, writer: asyncio.StreamWriter, text: str) -> bool:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = json.dumps(
            _frame("chat.completion", choice) | {"usage": _usage(self._job.answer_tokens)}
        ).encode()
        if self._mode == HALF:
            writer.write(_head("200 OK", _JSON, f"Content-Length: {len(body)}\r\n"))
            writer.write(body[: len(body) // 2])
            return False
        return _write(writer, "200 OK", _JSON, body)

    async def _stream(self, writer: asyncio.StreamWriter) -> bool:
        """Send what is due at the set pace, several pieces at once where it is late."""
        clock = asyncio.get_running_loop().time
        begin = clock() + self._job.first_token_seconds
        cut = self._mode == HALF
        chunks = [] if self._mode == EMPTY else self._chunks[: len(self._chunks) // (1 + cut)]
        await asyncio.sleep(self._job.first_token_seconds)
        writer.write(_head("200 OK", "text/event-stream", "Transfer-Encoding: chunked\r\n"))
        writer.write(_chunk(_event({"role": "assistant", "content": ""}, None)))
        sent = 0
        while sent < len(chunks):
            await asyncio.sleep(begin + sent / self._job.tokens_per_second - clock())
            due = max(sent + 1, int((clock() - begin) * self._job.tokens_per_second) + 1)
            writer.write(b"".join(chunks[sent:due]))
            sent = due
            await writer.drain()
        if cut:
            return False
        writer.write(self._last + _chunk(b""))
        return True


def answer_pieces(count: int) -> list[str]:
    """So many tokens of an answer in sentences that cite."""
    sentences = cycle(range(1, _CITED + 1))
    tokens = (token.format(number) for number in sentences for token in _SENTENCE)
    return list(islice(tokens, count))


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, RequestBody]:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *headers = head.decode("latin-1").split("\r\n")
    lengths = [h.partition(":")[2] for h in headers if h.lower().startswith("content-length:")]
    body = await reader.readexactly(int(lengths[0])) if lengths else b""
    return line.split()[1], json.loads(body or b"{}")


def _write_json(
    writer: asyncio.StreamWriter, status: str, body: dict[str, Any], headers: str = ""
) -> bool:
    return _write(writer, status, _JSON, json.dumps(body).encode(), headers)


def _write(
    writer: asyncio.StreamWriter, status: str, kind: str, body: bytes, headers: str = ""
) -> bool:
    writer.write(_head(status, kind, f"Content-Length: {len(body)}\r\n{headers}") + body)
    return True


def _head(status: str, kind: str, headers: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{headers}\r\n".encode()


def _chunk(data: bytes) -> bytes:
    """One part of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None, more: dict[str, Any] | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    frame = _frame("chat.completion.chunk", choice) | (more or {})
    return f"data: {json.dumps(frame)}\n\n".encode()


def _frame(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "benchmark",
        "object": kind,
        "created": 0,
        "model": "benchmark",
        "choices": [choice],
    }


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": 1 + tokens}
