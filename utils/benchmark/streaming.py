"""Streamed answers: one client compared with the original, and many clients at once."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import simulated_provider
from utils.benchmark.report import NONE, Measure, latency_measures
from utils.benchmark.services import original_service, our_service
from utils.benchmark.streaming_client import ANSWER_SECONDS, StreamedAnswer, StreamingClient
from utils.benchmark.watch import (
    ProcessSample,
    ProcessWatch,
    ServiceState,
    core_shares,
    memory_growth,
    read_service_state,
)
from utils.errors import DocsQAError
from utils.figures import MIB, percentile

_WARM_UP = 3
"""Questions before the measured ones."""
_ORIGINALS = 2
"""Answers by the original; at the provider's pace they hardly differ."""
_WARM_UP_SHARE = 0.25
"""Of the measured time, in addition to it."""
_REST_SECONDS = 3.0
"""Time for the service to clean up after the last client has disconnected."""


def measure_streaming(job: BenchmarkRun, questions: Sequence[str], count: int) -> list[Measure]:
    """Stream answers to one client, then request answers of the original from the same provider.

    Raises:
        DocsQAError: a service did not start, or answered nothing.
    """
    with simulated_provider(job) as provider:
        with our_service(job, provider.settings) as ours:
            answers = asyncio.run(_stream_each(ours.address, questions, _WARM_UP + count))
        with original_service(job, provider.api) as original:
            times = _time_original(original.address, questions)
    return streaming_measures(job, answers[_WARM_UP:], times)


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
    job: BenchmarkRun, answers: Sequence[StreamedAnswer], original_seconds: Sequence[float]
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
    own_delays = [token - job.first_token_seconds for token in tokens]
    return [
        *latency_measures("1 client, first event (passages)", events, 100),
        *latency_measures("1 client, first token after the provider's", own_delays, 50),
        Measure(f"whole answer of {job.answer_tokens} tokens, s", seconds, original, "less"),
        Measure("until sources can be read, s", percentile(events, 0.5), original, "less"),
        Measure("until the answer begins, s", percentile(tokens, 0.5), original, "less"),
        Measure(f"of {len(answers)} streams, not whole", len(answers) - len(complete), target=NONE),
    ]


@dataclass(frozen=True, slots=True)
class StreamsFigures:
    """The figures of many streams at once."""

    clients: int
    seconds: float
    """The measured time."""
    ended: int
    """Complete answers that ended in it."""
    answers: Sequence[StreamedAnswer]
    """Complete answers that were requested in it."""
    failures: Mapping[str, int]
    """Failed streams by reason, including the warm-up."""
    at_start: ProcessSample
    measured: Sequence[ProcessSample]
    """Samples in the measured time."""
    before: ServiceState
    after: ServiceState


def measure_streams(
    job: BenchmarkRun, questions: Sequence[str], clients: int, seconds: float
) -> list[Measure]:
    """Keep many clients busy with streamed answers, first to warm up, then for the measured time.

    Raises:
        DocsQAError: a process did not start, or no answer was complete.
    """
    with (
        simulated_provider(job) as provider,
        our_service(job, provider.settings) as service,
    ):
        processes = {
            "service": service.process_id,
            "provider": provider.process_id,
            "clients": os.getpid(),
        }
        watch = ProcessWatch(service.process_id, processes)
        before = read_service_state(service.address, service.process_id, provider.port)
        at_start = watch.sample()
        begin = time.perf_counter() + _WARM_UP_SHARE * seconds
        end = begin + seconds
        spread = min(job.answer_seconds, _WARM_UP_SHARE * seconds)
        streamed = asyncio.run(
            _run_clients(service.address, questions, clients, spread, end, watch)
        )
        time.sleep(_REST_SECONDS)
        after = read_service_state(service.address, service.process_id, provider.port)
    complete = [each for each in streamed if not each.failure]
    answers = [each for each in complete if begin <= each.begun < end]
    if not answers:
        raise DocsQAError("None of the benchmark's streams was answered to its end.")
    figures = StreamsFigures(
        clients=clients,
        seconds=seconds,
        ended=sum(begin <= each.ended < end for each in complete),
        answers=answers,
        failures=Counter(each.failure for each in streamed if each.failure),
        at_start=at_start,
        measured=[sample for sample in watch.samples if begin <= sample.time <= end],
        before=before,
        after=after,
    )
    return streams_measures(job, figures)


async def _run_clients(
    address: str,
    questions: Sequence[str],
    clients: int,
    spread: float,
    end: float,
    watch: ProcessWatch,
) -> list[StreamedAnswer]:
    """Run all clients until `end`; answers under way then are still read.

    The clients start evenly over `spread` seconds: starting at once, they would stay in step, since
    every answer takes the provider the same time.
    """
    todo = cycle(questions)
    watching = asyncio.create_task(watch.run())
    streamed = await asyncio.gather(
        *(_run_client(address, todo, spread * at / clients, end) for at in range(clients))
    )
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
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


def streams_measures(job: BenchmarkRun, figures: StreamsFigures) -> list[Measure]:
    """Throughput, latency, failures, CPU, memory, and what remains after the load."""
    who, answers = f"{figures.clients} streams", figures.answers
    tokens = figures.ended * job.answer_tokens / figures.seconds
    own_delays = [each.first_token - job.first_token_seconds for each in answers]
    kinds = ", ".join(f"{count} {kind}" for kind, count in figures.failures.items())
    failures = f"{who}, failures{f' ({kinds})' if kinds else ''}"
    before, after = figures.before, figures.after
    return [
        Measure(f"{who}, answers a second", figures.ended / figures.seconds),
        Measure(f"{who}, tokens a second", tokens),
        *latency_measures(f"{who}, first event", [each.first_event for each in answers]),
        *latency_measures(f"{who}, first token after the provider's", own_delays),
        *latency_measures(f"{who}, whole answer", [each.whole for each in answers]),
        Measure(failures, sum(figures.failures.values()), target=NONE),
        *_process_measures(figures.at_start, figures.measured),
        Measure("after the load, LLM calls under way", after.llm_calls, target=NONE),
        Measure("after the load, answers shared", after.answers_shared, target=NONE),
        Measure("after the load, clients' connections", after.client_connections, target=NONE),
        Measure("after the load, connections kept to the LLM", after.provider_connections),
        Measure("threads before the load", before.threads),
        Measure("threads after the load", after.threads),
    ]


def _process_measures(at_start: ProcessSample, measured: Sequence[ProcessSample]) -> list[Measure]:
    """CPU and memory; clients or a provider near a whole core would limit the service."""
    if len(measured) < 2:
        return []
    cores = os.cpu_count()
    memory = [sample.memory / MIB for sample in measured]
    return [
        *(
            Measure(f"{name}, % of one of {cores} cores", 100 * share)
            for name, share in core_shares(measured[0], measured[-1]).items()
        ),
        Measure("memory before the load, MiB", at_start.memory / MIB),
        Measure("memory after the warm-up, MiB", memory[0]),
        Measure("memory at the end, MiB", memory[-1]),
        Measure("memory at most, MiB", max(memory)),
        Measure("memory growth, second half, MiB a minute", memory_growth(measured) / MIB),
    ]
