"""Streamed answers: to one client, and to many clients at once."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import SimulatedProvider
from utils.benchmark.report import NONE, Measure, latency_measures
from utils.benchmark.services import our_service
from utils.benchmark.streaming_client import StreamedAnswer, StreamingClient
from utils.errors import DocsQAError
from utils.figures import MIB, percentile

if TYPE_CHECKING:
    import psutil

_WARM_UP = 3
"""Questions before the measured ones."""
_WARM_UP_SHARE = 0.25
"""Of the measured time, in addition to it."""


def measure_streaming(
    run: BenchmarkRun,
    provider: SimulatedProvider,
    questions: Sequence[str],
    *,
    count: int,
    clients: int,
    seconds: float,
) -> list[Measure]:
    """Stream answers to one client, then to many at once.

    Args:
        run: The run.
        provider: A healthy provider.
        questions: The questions to ask.
        count: The number of questions by the single client.
        clients: The number of clients at once.
        seconds: How long the clients are measured, after a warm-up.

    Raises:
        DocsQAError: the service did not start, or no answer was complete.
    """
    with our_service(run, provider.settings) as service:
        answers = asyncio.run(_stream_each(service.address, questions, _WARM_UP + count))
        alone = single_client_measures(run, answers[_WARM_UP:])
        ids = {
            "service": service.process_id,
            "provider": provider.process_id,
            "clients": os.getpid(),
        }
        return alone + _measure_load(run, questions, clients, seconds, service.address, ids)


async def _stream_each(address: str, questions: Sequence[str], count: int) -> list[StreamedAnswer]:
    async with StreamingClient(address) as client:
        return [await client.stream(question) for question in islice(cycle(questions), count)]


def single_client_measures(run: BenchmarkRun, answers: Sequence[StreamedAnswer]) -> list[Measure]:
    """The waiting times of a reader: until the passages, the first token and the whole answer.

    Raises:
        DocsQAError: no answer was complete.
    """
    complete = [each for each in answers if not each.failure]
    if not complete:
        raise DocsQAError(f"No answer was streamed to its end: {answers[0].failure}.")
    own_delays = [each.first_token - run.first_token_seconds for each in complete]
    seconds = percentile([each.whole for each in complete], 0.5)
    return [
        *latency_measures(
            "1 client, first event (passages)", [each.first_event for each in complete], 100
        ),
        *latency_measures("1 client, first token after the provider's", own_delays, 50),
        Measure(f"whole answer of {run.answer_tokens} tokens, s", seconds),
        Measure(f"of {len(answers)} streams, not whole", len(answers) - len(complete), target=NONE),
    ]


def _measure_load(
    run: BenchmarkRun,
    questions: Sequence[str],
    clients: int,
    seconds: float,
    address: str,
    process_ids: Mapping[str, int],
) -> list[Measure]:
    """Keep many clients busy with streamed answers, first to warm up, then for the measured time.

    Reports the share of a core that each process takes: clients or a provider near a whole core
    would limit the service.
    """
    import psutil

    processes = {name: psutil.Process(process_id) for name, process_id in process_ids.items()}
    memory_before = processes["service"].memory_info().rss
    core_seconds = {name: _core_seconds(process) for name, process in processes.items()}
    start = time.perf_counter()
    begin = start + _WARM_UP_SHARE * seconds
    spread = min(run.answer_seconds, _WARM_UP_SHARE * seconds)
    streamed = asyncio.run(_run_clients(address, questions, clients, spread, begin + seconds))
    elapsed = time.perf_counter() - start
    shares = [
        Measure(
            f"{name}, % of one of {os.cpu_count()} cores",
            100 * (_core_seconds(process) - core_seconds[name]) / elapsed,
        )
        for name, process in processes.items()
    ]
    return [
        *streams_measures(run, clients, begin, seconds, streamed),
        *shares,
        Measure("memory before the load, MiB", memory_before / MIB),
        Measure("memory after the load, MiB", processes["service"].memory_info().rss / MIB),
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
