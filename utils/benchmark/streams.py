"""Many clients that stream all the time, and one process that serves them all."""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from utils.benchmark.answers import Streamed, StreamingClient
from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import simulated_provider
from utils.benchmark.report import Measure, Target
from utils.benchmark.services import our_service
from utils.benchmark.watch import (
    MIB,
    ProcessSample,
    ProcessWatch,
    ServiceState,
    core_shares,
    memory_growth,
    read_service_state,
    samples_between,
)
from utils.errors import DocsQAError
from utils.figures import percentile

_WARM_UP_SHARE = 0.25
"""Of the measured time, on top of it."""
_REST_SECONDS = 3.0
"""What the service is given to tidy up, once the last client has left."""


@dataclass(frozen=True, slots=True)
class StreamsFigures:
    """What became of many streams at once."""

    clients: int
    seconds: float
    """How long was measured."""
    ended: int
    """Whole answers that ended meanwhile."""
    answers: Sequence[Streamed]
    """Whole answers that were asked for meanwhile."""
    failures: Mapping[str, int]
    """How many streams went wrong in which way, those of the warm-up included."""
    at_start: ProcessSample
    measured: Sequence[ProcessSample]
    """Those taken meanwhile; the first is at the end of the warm-up."""
    before: ServiceState
    after: ServiceState


def measure_streams(
    job: BenchmarkRun, asked: Sequence[str], clients: int, seconds: float
) -> StreamsFigures:
    """Keep so many clients busy with streamed answers for so long, after a warm-up.

    Raises:
        DocsQAError: a process did not start, or no answer was whole.
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
        streamed = asyncio.run(_load(service.address, asked, clients, spread, end, watch))
        time.sleep(_REST_SECONDS)
        after = read_service_state(service.address, service.process_id, provider.port)
    whole = [each for each in streamed if not each.failure]
    answers = [each for each in whole if begin <= each.begun < end]
    if not answers:
        raise DocsQAError("None of the benchmark's streams was answered to its end.")
    return StreamsFigures(
        clients=clients,
        seconds=seconds,
        ended=sum(begin <= each.ended < end for each in whole),
        answers=answers,
        failures=Counter(each.failure for each in streamed if each.failure),
        at_start=at_start,
        measured=samples_between(watch.samples, begin, end),
        before=before,
        after=after,
    )


async def _load(
    address: str, asked: Sequence[str], clients: int, spread: float, end: float, watch: ProcessWatch
) -> list[Streamed]:
    """Have all clients ask until the end; what they have asked for by then, they still get.

    They begin one after the other over `spread` seconds: beginning as one, they would wait as one,
    for answers that all take the provider the same time.
    """
    todo = itertools.cycle(asked)
    watching = asyncio.create_task(watch.run())
    clients_done = await asyncio.gather(
        *(_one_client(address, todo, spread * at / clients, end) for at in range(clients))
    )
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return list(itertools.chain.from_iterable(clients_done))


async def _one_client(
    address: str, todo: Iterator[str], delay: float, end: float
) -> list[Streamed]:
    await asyncio.sleep(delay)
    streamed: list[Streamed] = []
    async with StreamingClient(address) as client:
        while time.perf_counter() < end:
            streamed.append(await client.ask(next(todo)))
            if streamed[-1].failure:
                await asyncio.sleep(0.1)  # a service that is gone would be asked in a tight loop
    return streamed


def streams_measures(job: BenchmarkRun, figures: StreamsFigures) -> list[Measure]:
    """Speed, failures, memory and what was left."""
    who = f"{figures.clients} streams"
    none = Target("value", below=1)
    tokens = figures.ended * job.answer_tokens / figures.seconds
    kinds = ", ".join(f"{count} {kind}" for kind, count in figures.failures.items())
    return [
        Measure(f"{who}, answers a second", figures.ended / figures.seconds),
        Measure(f"{who}, tokens a second", tokens),
        *_milliseconds(f"{who}, first event", [each.first_event for each in figures.answers]),
        *_milliseconds(
            f"{who}, first token after the provider's",
            [each.first_token - job.first_token_seconds for each in figures.answers],
        ),
        *_milliseconds(f"{who}, whole answer", [each.whole for each in figures.answers]),
        Measure(
            f"{who}, failures{f' ({kinds})' if kinds else ''}",
            sum(figures.failures.values()),
            target=none,
        ),
        *_shares_of_cores(figures.measured),
        *_memory(figures.at_start, figures.measured),
        Measure("after the load, LLM calls under way", figures.after.llm_calls, target=none),
        Measure("after the load, answers shared", figures.after.answers_shared, target=none),
        Measure(
            "after the load, clients' connections", figures.after.client_connections, target=none
        ),
        Measure("after the load, connections kept to the LLM", figures.after.provider_connections),
        Measure("threads before the load", figures.before.threads),
        Measure("threads after the load", figures.after.threads),
    ]


def _milliseconds(name: str, seconds: Sequence[float]) -> list[Measure]:
    return [
        Measure(f"{name}, {label} ms", 1000 * percentile(seconds, share))
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _shares_of_cores(measured: Sequence[ProcessSample]) -> list[Measure]:
    """Who works: clients or a provider near a whole core would be what is measured."""
    if len(measured) < 2:
        return []
    cores = os.cpu_count()
    return [
        Measure(f"{name}, % of one of {cores} cores", 100 * share)
        for name, share in core_shares(measured[0], measured[-1]).items()
    ]


def _memory(at_start: ProcessSample, measured: Sequence[ProcessSample]) -> list[Measure]:
    if not measured:
        return []
    return [
        Measure("memory before the load, MiB", at_start.memory / MIB),
        Measure("memory after the warm-up, MiB", measured[0].memory / MIB),
        Measure("memory at the end, MiB", measured[-1].memory / MIB),
        Measure("memory at most, MiB", max(sample.memory for sample in measured) / MIB),
        Measure("memory growth, second half, MiB a minute", memory_growth(measured) / MIB),
    ]
