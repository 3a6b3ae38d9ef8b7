"""A language model that goes away and comes back, while clients ask all the time."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import (
    HEALTHY,
    REFUSED,
    SILENCE,
    SimulatedProvider,
    simulated_provider,
)
from utils.benchmark.report import Measure
from utils.benchmark.services import QUOTED, http_clients, our_service
from utils.errors import DocsQAError
from utils.figures import percentile

if TYPE_CHECKING:
    import httpx

CLIENTS = 32
_RETURN_SECONDS = 120.0
"""A service that has not come back to the language model by then never does."""


@dataclass(frozen=True, slots=True)
class OutageRequest:
    """One request."""

    ended: float
    """On time.perf_counter's clock."""
    seconds: float
    written: bool
    """Whether the language model wrote the answer."""
    degraded: bool
    failed: bool = False
    """Whether there was no answer at all."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of time and the requests that ended in it."""

    name: str
    seconds: float
    requests: Sequence[OutageRequest]


@dataclass(slots=True)
class OutageFigures:
    """What clients noticed, phase by phase."""

    phases: list[Phase] = field(default_factory=list)
    return_seconds: dict[str, float] = field(default_factory=dict)
    """By the kind of outage, from the provider's return to the first answer written by it."""


def outage_settings(timeout: float) -> dict[str, str]:
    """A service that gives a call, and then the language model, so many seconds."""
    return {"INFERENCE_TIMEOUT": f"{timeout:g}", "BREAKER_SECONDS": f"{timeout:g}"}


def measure_outage(
    job: BenchmarkRun, asked: Sequence[str], seconds: float, timeout: float
) -> OutageFigures:
    """Take the provider away twice, once so that it refuses connections, once so that it hangs.

    Args:
        job: What the processes share.
        asked: The questions.
        seconds: How long each phase is.
        timeout: INFERENCE_TIMEOUT and BREAKER_SECONDS of the service.

    Raises:
        DocsQAError: a process did not start, or the service did not come back to the provider.
    """
    with (
        simulated_provider(job) as provider,
        our_service(job, provider.settings | outage_settings(timeout)) as service,
    ):
        load = _Load(asked)
        return asyncio.run(load.suffer(service.address, provider, job.answer_seconds, seconds))


class _Load:
    """Clients that ask as soon as they are answered, until told to stop."""

    def __init__(self, asked: Sequence[str]) -> None:
        self._todo = itertools.cycle(asked)
        self._requests: list[OutageRequest] = []
        self._figures = OutageFigures()

    async def suffer(
        self, address: str, provider: SimulatedProvider, warm_up: float, seconds: float
    ) -> OutageFigures:
        async with http_clients(address, CLIENTS) as http:
            clients = [asyncio.create_task(self._one_client(http)) for _ in range(CLIENTS)]
            try:
                await asyncio.sleep(warm_up)
                await self._phase("provider healthy", seconds)
                for kind in (REFUSED, SILENCE):
                    await self._outage(provider, kind, seconds)
            finally:
                for client in clients:
                    client.cancel()
                ends = await asyncio.gather(*clients, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return self._figures

    async def _outage(self, provider: SimulatedProvider, kind: str, seconds: float) -> None:
        await asyncio.to_thread(provider.turn, kind)
        await self._phase(f"provider gone ({kind})", seconds)
        back = time.perf_counter()
        await asyncio.to_thread(provider.turn, HEALTHY)
        self._figures.return_seconds[kind] = await self._first_written(back) - back
        await self._phase(f"provider back after {kind}", seconds)

    async def _one_client(self, http: "httpx.AsyncClient") -> None:
        import httpx

        while True:
            begun = time.perf_counter()
            try:
                response = await http.post("/v1/answers", json={"question": next(self._todo)})
                answer = response.raise_for_status().json()
                written = answer["generator"] != QUOTED
                degraded, failed = answer["degraded"], False
            except httpx.HTTPError:
                written, degraded, failed = False, False, True
                await asyncio.sleep(0.1)  # not in a tight loop, should the service be gone
            ended = time.perf_counter()
            self._requests.append(OutageRequest(ended, ended - begun, written, degraded, failed))

    async def _phase(self, name: str, seconds: float) -> None:
        begin = time.perf_counter()
        await asyncio.sleep(seconds)
        end = time.perf_counter()
        requests = [each for each in self._requests if begin <= each.ended < end]
        self._figures.phases.append(Phase(name, end - begin, requests))

    async def _first_written(self, after: float) -> float:
        """When the first answer that was written after a moment was there."""
        while time.perf_counter() < after + _RETURN_SECONDS:
            written = [each.ended for each in self._requests if each.written and each.ended > after]
            if written:
                return min(written)
            await asyncio.sleep(0.02)
        raise DocsQAError("The service did not come back to the benchmark's language model.")


def outage_measures(figures: OutageFigures) -> list[Measure]:
    """Each phase, and how long the return took."""
    measures = [measure for phase in figures.phases for measure in phase_measures(phase)]
    return measures + [
        Measure(f"provider back after {kind}, first answer by it after s", seconds)
        for kind, seconds in figures.return_seconds.items()
    ]


def phase_measures(phase: Phase) -> list[Measure]:
    """How fast, and how many were answered without the language model."""
    answered = [each for each in phase.requests if not each.failed]
    rate = Measure(f"{phase.name}, answers a second", len(answered) / phase.seconds)
    failures = len(phase.requests) - len(answered)
    failed = [Measure(f"{phase.name}, failed", failures)] if failures else []
    if not answered:
        return [rate, *failed]
    times = [each.seconds for each in answered]
    degraded = sum(each.degraded for each in answered) / len(answered)
    return [
        rate,
        Measure(f"{phase.name}, p50 ms", 1000 * percentile(times, 0.5)),
        Measure(f"{phase.name}, p99 ms", 1000 * percentile(times, 0.99)),
        Measure(f"{phase.name}, degraded, %", 100 * degraded),
        *failed,
    ]
