"""The benchmark's stream client and figures, over a scripted service."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from utils.benchmark.outage import OutageRequest, Phase, phase_measures
from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import HEALTHY, REFUSED, simulated_provider
from utils.benchmark.report import Measure
from utils.benchmark.streaming import single_client_measures, streams_measures
from utils.benchmark.streaming_client import (
    BrokenStreamError,
    StreamedAnswer,
    StreamingClient,
    read_events,
)
from utils.errors import DocsQAError

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
FOUND = b"event: passages\ndata: {}\n\n"
TOKEN = b'event: token\ndata: {"text": "Yes."}\n\n'
RUN = BenchmarkRun("", "", "", "", "", "", first_token_seconds=0.5, answer_tokens=100)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def answer(reason: str | None = None, generator: str = "mistral-large-latest") -> bytes:
    body = {"generator": generator, "degraded_reason": reason}
    return b"event: answer\ndata: " + json.dumps(body).encode() + b"\n\n"


def stream(*chunks: bytes) -> bytes:
    return HEAD + b"".join(map(chunk, chunks)) + chunk(b"")


WHOLE = stream(FOUND, TOKEN, answer())


@asynccontextmanager
async def service(*replies: bytes, then: float = 0.0) -> AsyncIterator[tuple[str, list[int]]]:
    """A service that sends each request the next reply; yields its address and the client ports.

    The ports are those of the requests' connections. After an incomplete response the connection
    is closed.
    """
    waiting = list(replies)
    ports: list[int] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[1]
        try:
            while waiting:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
                ports.append(peer)
                reply = waiting.pop(0)
                for part in reply.partition(chunk(TOKEN)) if then else (reply,):
                    await asyncio.sleep(then)
                    writer.write(part)
                if not reply.endswith(chunk(b"")):
                    break
            else:
                await reader.read()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", ports


async def read(response: bytes) -> list[tuple[str, bytes]]:
    reader = asyncio.StreamReader()
    reader.feed_data(response)
    reader.feed_eof()
    return [event async for event in read_events(reader)]


async def test_events_are_parsed_across_chunk_boundaries() -> None:
    heartbeat = b": ping\n\n"
    events = [("passages", b"{}"), ("token", b'{"text": "Yes."}')]

    assert await read(stream(FOUND, heartbeat, TOKEN)) == events
    assert await read(stream(FOUND + TOKEN[:9], TOKEN[9:30], TOKEN[30:])) == events


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", BrokenStreamError),
        (stream(FOUND, TOKEN[:-1]), BrokenStreamError),
        (HEAD + chunk(FOUND), asyncio.IncompleteReadError),
        (HEAD + chunk(FOUND)[:-9], asyncio.IncompleteReadError),
    ],
)
async def test_incomplete_streams_raise(response: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await read(response)


async def test_client_measures_events_and_reuses_its_connection() -> None:
    async with (
        service(WHOLE, WHOLE, then=0.3) as (address, ports),
        StreamingClient(address) as client,
    ):
        first = await client.stream("How?")
        second = await client.stream("Why?")

    assert (first.failure, second.failure) == ("", "")
    assert 0.3 <= first.first_event < first.first_token < first.whole < 10
    assert first.first_token > first.first_event + 0.15
    assert first.whole > first.first_token + 0.15
    assert second.begun >= first.ended
    assert ports[0] == ports[1]


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (stream(FOUND, answer("the language model is busy")), "the language model is busy"),
        (stream(FOUND, TOKEN, answer(generator="extractive")), "quoted"),
        (stream(FOUND, b'event: error\ndata: {"status": 500}\n\n'), "ended in error"),
        (stream(FOUND, TOKEN), "ended in token"),
        (stream(), "ended in nothing"),
        (HEAD + chunk(FOUND), "IncompleteReadError"),
        (b"HTTP/1.1 422 Unprocessable\r\n\r\n", "status 422"),
        (HEAD + b"what?\r\n", "ValueError"),
    ],
)
async def test_responses_other_than_a_complete_llm_answer_are_failures(
    response: bytes, failure: str
) -> None:
    async with service(response, WHOLE) as (address, _), StreamingClient(address) as client:
        assert (await client.stream("How?")).failure == failure
        assert (await client.stream("How?")).failure == ""
    assert (await client.stream("How?")).failure == "ConnectionRefusedError"


def by_name(measures: list[Measure]) -> dict[str, Measure]:
    return {measure.name: measure for measure in measures}


def test_single_client_figures_exclude_the_provider_s_delay() -> None:
    ours = [StreamedAnswer(0.0, 0.02, 0.53, 2.0), StreamedAnswer(0.0, 0.04, 0.57, 3.0)]
    broken = StreamedAnswer(0.0, 9.0, 9.0, 9.0, "status 503")

    shown = by_name(single_client_measures(RUN, [*ours, broken]))

    assert shown["1 client, first event (passages), p99 ms"].ours == pytest.approx(40)
    token = shown["1 client, first token after the provider's, p50 ms"]
    assert token.ours == pytest.approx(30)
    assert token.reached
    assert not shown["1 client, first token after the provider's, p99 ms"].reached
    assert shown["whole answer of 100 tokens, s"].ours == 2
    assert shown["of 3 streams, not whole"].reached is False
    with pytest.raises(DocsQAError, match="status 503"):
        single_client_measures(RUN, [broken])


def test_many_clients_figures_are_rates_of_the_measured_time() -> None:
    early, late = (StreamedAnswer(begun, 0.1, 0.7, 3.0) for begun in (98.0, 109.0))
    streamed = [early, *[StreamedAnswer(102.0, 0.1, 0.7, 3.0)] * 19, late]

    shown = by_name(streams_measures(RUN, 3, 100.0, 10.0, streamed))

    assert shown["3 streams, answers a second"].ours == 2
    assert shown["3 streams, tokens a second"].ours == 200
    assert shown["3 streams, first token after the provider's, p50 ms"].ours == pytest.approx(200)
    assert shown["3 streams, failures"].reached is True


def test_failed_streams_miss_their_target() -> None:
    failed = [
        StreamedAnswer(0, 0, 0, 1, reason) for reason in ("status 503", "status 503", "quoted")
    ]
    whole = StreamedAnswer(0.0, 0.1, 0.7, 3.0)

    shown = by_name(streams_measures(RUN, 3, 0.0, 10.0, [*failed, whole]))

    missed = {name: measure.ours for name, measure in shown.items() if measure.reached is False}
    assert missed == {"3 streams, failures (2 status 503, 1 quoted)": 3}
    with pytest.raises(DocsQAError, match="None of the benchmark's streams"):
        streams_measures(RUN, 3, 0.0, 10.0, failed)


def test_phase_counts_degraded_answers_and_failures() -> None:
    requests = [
        OutageRequest(11, 2.0, written=True, degraded=False),  # began before the phase
        OutageRequest(12, 1.0, written=True, degraded=False),
        OutageRequest(14, 3.0, written=False, degraded=True),
        OutageRequest(19, 9.0, written=False, degraded=False, failure="status 503"),
    ]

    shown = by_name(phase_measures(Phase("gone", 10.0, 4.0, requests)))

    assert shown["gone, answers a second"].ours == 0.75
    assert shown["gone, p99 ms"].ours == 3000
    assert shown["gone, degraded, %"].ours == 50
    assert shown["gone, failed (status 503)"].ours == 1
    assert list(by_name(phase_measures(Phase("gone", 10.0, 4.0, [])))) == ["gone, answers a second"]


@pytest.mark.process
def test_simulated_provider_streams_at_its_rate_fails_and_recovers(tmp_path: Path) -> None:
    run = BenchmarkRun("", "", "", "", "", str(tmp_path), 0.2, 100.0, 40)
    with simulated_provider(run) as provider:

        def ask(*, stream: bool) -> httpx.Response:
            """On a new connection: an aborted one may be found reset only once it is used."""
            address, body = f"{provider.api}/chat/completions", {"stream": stream}
            return httpx.post(address, json=body, trust_env=False)

        start = time.perf_counter()
        streamed = ask(stream=True).text
        assert 0.59 <= time.perf_counter() - start < 2
        lines = streamed.split("\n\n")
        assert lines[-2:] == ["data: [DONE]", ""]
        deltas = [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines[:-2]]
        text = "".join(deltas)
        assert sum(map(bool, deltas)) == 40
        assert all(f"[{number}]" in text for number in (1, 2, 3))
        start = time.perf_counter()
        assert ask(stream=False).json()["choices"][0]["message"]["content"] == text
        assert time.perf_counter() - start >= 0.59

        provider.switch(REFUSED)
        with pytest.raises(httpx.ConnectError):
            ask(stream=True)
        provider.switch(HEALTHY)
        assert ask(stream=True).is_success
