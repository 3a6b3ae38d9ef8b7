"""Streamed answers: one client compared with the original, and many clients at once."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import simulated_provider
from utils.benchmark.report import NONE, Measure, latency_measures
from utils.benchmark.services import original_service, our_service
from utils.benchmark.streaming_client import ANSWER_SECONDS, StreamedAnswer, StreamingClient
from utils.errors import DocsQAError
from utils.figures import MIB, percentile

if TYPE_CHECKING:
    import psutil

_WARM_UP = 3
"""Questions before the measured ones."""
_ORIGINALS = 2
"""Answers by the original; at the provider's pace they hardly differ."""
_WARM_UP_SHARE = 0.25
"""Of the measured time, in addition to it."""


def measure_streaming(run: BenchmarkRun, questions: Sequence[str], count: int) -> list[Measure]:
    """Stream answers to one client, then request answers of the original from the same provider.

    Raises:
        DocsQAError: a service did not start, or answered nothing.
    """
    with simulated_provider(run) as provider:
        with our_service(run, provider.settings) as ours:
            answers = asyncio.run(_stream_each(ours.address, questions, _WARM_UP + count))
        with original_service(run, provider.api) as original:
            times = _time_original(original.address, questions)
    return streaming_measures(run, answers[_WARM_UP:], times)


async def _stream_each(address: str, questions: Sequence[str], count: int) -> list[StreamedAnswer]:
    async with StreamingClient(address) as client:
        return [await client.stream(question) for question in islice(cycle(questions), count)]


def _time_original(address: str, questions: Sequence[str]) -> list[float]:
    import httpx

    times = []
    with httpx.Client(base_url=address, timeout=ANSWER_SECONDS, trust_env=False) as client:
        for question in islice(cycle(questions), _ORIGINALS):
            start = time.perf_counter()
            response = client.post("/inference_endpoint", params={"message": question})
            if not response.is_success:
                raise DocsQAError("The benchmark's original answered nothing with the provider.")
            times.append(time.perf_counter() - start)
    return times


def streaming_measures(
    run: BenchmarkRun, answers: Sequence[StreamedAnswer], original_seconds: Sequence[float]
) -> list[Measure]:
    """The waiting times of a reader: until the passages, the first token and the whole answer.

    Raises:
        DocsQAError: none of our answers was complete.
    """
    complete = [each for each in answers if not each.failure]
    if not complete:
        raise DocsQAError(f"No answer was streamed to its end: {answers[0].failure}.")
    events = [each.first_event for each in complete]
    tokens = [each.first_token for each in complete]
    original = percentile(original_seconds, 0.5)
    seconds = percentile([each.whole for each in complete], 0.5)
    own_delays = [token - run.first_token_seconds for token in tokens]
    return [
        *latency_measures("1 client, first event (passages)", events, 100),
        *latency_measures("1 client, first token after the provider's", own_delays, 50),
        Measure(f"whole answer of {run.answer_tokens} tokens, s", seconds, original, "less"),
        Measure("until sources can be read, s", percentile(events, 0.5), original, "less"),
        Measure("until the answer begins, s", percentile(tokens, 0.5), original, "less"),
        Measure(f"of {len(answers)} streams, not whole", len(answers) - len(complete), target=NONE),
    ]


def measure_streams(
    run: BenchmarkRun, questions: Sequence[str], clients: int, seconds: float
) -> list[Measure]:
    """Keep many clients busy with streamed answers, first to warm up, then for the measured time.

    Raises:
        DocsQAError: a process did not start, or no answer was complete.
    """
    import psutil

    with simulated_provider(run) as provider, our_service(run, provider.settings) as service:
        ids = {
            "service": service.process_id,
            "provider": provider.process_id,
            "clients": os.getpid(),
        }
        processes = {name: psutil.Process(process_id) for name, process_id in ids.items()}
        memory_before = processes["service"].memory_info().rss
        core_seconds = {name: _core_seconds(process) for name, process in processes.items()}
        start = time.perf_counter()
        begin = start + _WARM_UP_SHARE * seconds
        spread = min(run.answer_seconds, _WARM_UP_SHARE * seconds)
        streamed = asyncio.run(
            _run_clients(service.address, questions, clients, spread, begin + seconds)
        )
        elapsed = time.perf_counter() - start
        # Clients or a provider near a whole core would limit the service.
        shares = [
            Measure(
                f"{name}, % of one of {os.cpu_count()} cores",
                100 * (_core_seconds(process) - core_seconds[name]) / elapsed,
            )
            for name, process in processes.items()
        ]
        memory_after = processes["service"].memory_info().rss
    return [
        *streams_measures(run, clients, begin, seconds, streamed),
        *shares,
        Measure("memory before the load, MiB", memory_before / MIB),
        Measure("memory after the load, MiB", memory_after / MIB),
    ]


def _core_seconds(process: "psutil.Process") -> float:
    """The CPU time of a process since its start."""
    spent = process.cpu_times()
    return spent.user + spent.system


async def _run_clients(
    address: str, questions: Sequence[str], clients: int, spread: float, end: float
) -> list[StreamedAnswer]:
    """Run all clients until `end`; answers under way then are still read.

    The clients start evenly over `spread` seconds: starting at once, they would stay in step, since
    every answer takes the provider the same time.
    """
    todo = cycle(questions)
    streamed = await asyncio.gather(
        *(_run_client(address, todo, spread * at / clients, end) for at in range(clients))
    )
    return list(chain.from_iterable(streamed))


async def _run_client(
    address: str, todo: Iterator[str], delay: float, end: float
) -> list[StreamedAnswer]:
    await asyncio.sleep(delay)
    streamed: list[StreamedAnswer] = []
    async with StreamingClient(address) as client:
        while time.perf_counter() < end:
            streamed.append(await client.stream(next(todo)))
            if streamed[-1].failure:
                await asyncio.sleep(0.1)  # no tight loop if the service is down
    return streamed


def streams_measures(
    run: BenchmarkRun,
    clients: int,
    begin: float,
    seconds: float,
    streamed: Sequence[StreamedAnswer],
) -> list[Measure]:
    """Throughput, latency and failures of many streams at once.

    Args:
        run: The run.
        clients: The number of clients.
        begin: The start of the measured time on time.perf_counter's clock.
        seconds: The measured time.
        streamed: The answers, including those of the warm-up.

    Raises:
        DocsQAError: no answer requested in the measured time was complete.
    """
    complete = [each for each in streamed if not each.failure]
    answers = [each for each in complete if begin <= each.begun < begin + seconds]
    if not answers:
        raise DocsQAError("None of the benchmark's streams was answered to its end.")
    ended = sum(begin <= each.ended < begin + seconds for each in complete)
    own_delays = [each.first_token - run.first_token_seconds for each in answers]
    failures = Counter(each.failure for each in streamed if each.failure)
    kinds = ", ".join(f"{count} {kind}" for kind, count in failures.items())
    who = f"{clients} streams"
    return [
        Measure(f"{who}, answers a second", ended / seconds),
        Measure(f"{who}, tokens a second", ended * run.answer_tokens / seconds),
        *latency_measures(f"{who}, first event", [each.first_event for each in answers]),
        *latency_measures(f"{who}, first token after the provider's", own_delays),
        *latency_measures(f"{who}, whole answer", [each.whole for each in answers]),
        Measure(f"{who}, failures{f' ({kinds})' if kinds else ''}", failures.total(), target=NONE),
    ]
