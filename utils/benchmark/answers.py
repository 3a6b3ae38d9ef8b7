"""Answers that are streamed: a client that reads them cheaply, and one such client measured.

The client reads lines from a socket because an HTTP library would take more of the cores for 200
streams than the service that is measured.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Self
from urllib.parse import urlsplit

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import simulated_provider
from utils.benchmark.report import Measure, Target
from utils.benchmark.services import QUOTED, original_service, our_service
from utils.errors import DocsQAError
from utils.figures import percentile

_WARM_UP = 3
"""Questions before the measured ones."""
_ORIGINALS = 2
"""Answers of the original's: at the provider's pace, one is as the other."""
_ANSWER_SECONDS = 120.0
"""A stream that has not ended by then never does."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """How one streamed answer came; all but `begun` in seconds from its request."""

    begun: float
    """When it was asked for, on time.perf_counter's clock."""
    first_event: float
    first_token: float
    whole: float
    failure: str = ""
    """Why it is no whole answer of the language model; its times count nowhere then."""

    @property
    def ended(self) -> float:
        """When it was whole, on time.perf_counter's clock."""
        return self.begun + self.whole


class BrokenStreamError(Exception):
    """What came is no stream of events."""


async def read_events(reader: asyncio.StreamReader) -> AsyncGenerator[tuple[str, bytes], None]:
    """Read the events of one chunked response, name and data; comments are passed over.

    Raises:
        BrokenStreamError: the status is not 200, or the end is in the middle of an event.
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
    """Asks for streamed answers over one connection, which it opens anew after a failure."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def ask(self, question: str) -> Streamed:
        """Ask, and read the stream to its end; a failure is told in what is returned."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._read(begun, question)
        except (OSError, ValueError, BrokenStreamError, EOFError, TimeoutError) as error:
            await self._close()
            failure = str(error) if isinstance(error, BrokenStreamError) else type(error).__name__
            return Streamed(begun, 0.0, 0.0, time.perf_counter() - begun, failure)

    async def _read(self, begun: float, question: str) -> Streamed:
        reader = await self._send(question)
        times: dict[str, float] = {}
        last = ("", b"")
        async with aclosing(read_events(reader)) as events:
            async for last in events:
                times.setdefault(last[0], time.perf_counter() - begun)
        whole = time.perf_counter() - begun
        first = min(times.values(), default=0.0)
        return Streamed(begun, first, times.get("token", 0.0), whole, failure_in(*last))

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


def failure_in(name: str, data: bytes) -> str:
    """Why a stream that ended in this event is no whole answer of the language model, if not."""
    if name != "answer":
        return f"ended in {name or 'nothing'}"
    answer = json.loads(data)
    quoted = answer["generator"] == QUOTED
    return answer["degraded_reason"] or ("quoted" if quoted else "")


@dataclass(frozen=True, slots=True)
class StreamingFigures:
    """One client, whose answers are streamed, against the original's whole answers."""

    ours: Sequence[Streamed]
    original: Sequence[float]
    """Seconds from question to answer."""


def measure_streaming(job: BenchmarkRun, asked: Sequence[str], questions: int) -> StreamingFigures:
    """Ask one question after the other, ours and then the original's, of the same provider.

    Raises:
        DocsQAError: a service did not start or answered nothing.
    """
    with simulated_provider(job) as provider:
        with our_service(job, provider.settings) as ours:
            answers = asyncio.run(_one_by_one(ours.address, asked, _WARM_UP + questions))
        with original_service(job, provider.api) as original:
            times = _ask_original(original.address, asked)
    return StreamingFigures(answers[_WARM_UP:], times)


async def _one_by_one(address: str, asked: Sequence[str], count: int) -> list[Streamed]:
    async with StreamingClient(address) as client:
        return [await client.ask(question) for question in islice(cycle(asked), count)]


def _ask_original(address: str, asked: Sequence[str]) -> list[float]:
    import httpx

    times = []
    with httpx.Client(base_url=address, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        for question in islice(cycle(asked), _ORIGINALS):
            start = time.perf_counter()
            response = client.post("/inference_endpoint", params={"message": question})
            if not response.is_success:
                raise DocsQAError("The benchmark's original answered nothing with the provider.")
            times.append(time.perf_counter() - start)
    return times


def streaming_measures(job: BenchmarkRun, figures: StreamingFigures) -> list[Measure]:
    """What a reader waits for.

    Raises:
        DocsQAError: no answer of ours was whole.
    """
    whole = [each for each in figures.ours if not each.failure]
    if not whole:
        raise DocsQAError(f"No answer was streamed to its end: {figures.ours[0].failure}.")
    events = [each.first_event for each in whole]
    words = [each.first_token for each in whole]
    original = percentile(figures.original, 0.5)
    seconds = percentile([each.whole for each in whole], 0.5)
    return [
        *_milliseconds("1 client, first event (passages)", events, 100),
        *_milliseconds(
            "1 client, first token after the provider's",
            [word - job.first_token_seconds for word in words],
            50,
        ),
        Measure(f"whole answer of {job.answer_tokens} tokens, s", seconds, original, "less"),
        Measure("until sources can be read, s", percentile(events, 0.5), original, "less"),
        Measure("until the answer begins, s", percentile(words, 0.5), original, "less"),
        Measure(
            f"of {len(figures.ours)} streams, not whole",
            len(figures.ours) - len(whole),
            target=Target("value", below=1),
        ),
    ]


def _milliseconds(name: str, seconds: Sequence[float], limit: float) -> list[Measure]:
    target = Target("value", below=limit)
    return [
        Measure(f"{name}, {label} ms", 1000 * percentile(seconds, share), target=target)
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]
