"""An outage of the language model while clients keep asking."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import HEALTHY, REFUSED, SILENCE, SimulatedProvider
from utils.benchmark.report import Measure, latency_measures
from utils.benchmark.services import QUOTED, http_clients, our_service
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx

_CLIENTS = 32
_RETURN_SECONDS = 120.0
"""The timeout for a first answer by the language model, and for the first answer in a phase."""
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class OutageRequest:
    """One request."""

    ended: float
    """On time.perf_counter's clock."""
    seconds: float
    written: bool
    """True if the language model wrote the answer."""
    degraded: bool
    failure: str = ""
    """Why there was no answer at all."""

    @property
    def begun(self) -> float:
        """On time.perf_counter's clock."""
        return self.ended - self.seconds


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of time, and the requests that ended in it."""

    name: str
    begin: float
    """On time.perf_counter's clock."""
    seconds: float
    requests: Sequence[OutageRequest]


def measure_outage(
    run: BenchmarkRun,
    provider: SimulatedProvider,
    questions: Sequence[str],
    seconds: float,
    timeout: float,
) -> list[Measure]:
    """Take the provider away twice: first it refuses connections, then it does not respond.

    Args:
        run: The run.
        provider: A healthy provider.
        questions: The questions to ask.
        seconds: The length of each phase.
        timeout: INFERENCE_TIMEOUT and BREAKER_SECONDS of the service.

    Raises:
        DocsQAError: the service did not start, or did not use the provider.
    """
    settings = {"INFERENCE_TIMEOUT": f"{timeout:g}", "BREAKER_SECONDS": f"{timeout:g}"}
    with our_service(run, provider.settings | settings) as service:
        load = _OutageLoad(questions, seconds)
        return asyncio.run(load.measure(service.address, provider))


class _OutageLoad:
    """Clients that send the next question as soon as the previous one is answered."""

    def __init__(self, questions: Sequence[str], seconds: float) -> None:
        self._todo = itertools.cycle(questions)
        self._seconds = seconds
        self._requests: list[OutageRequest] = []

    async def measure(self, address: str, provider: SimulatedProvider) -> list[Measure]:
        async with http_clients(address, _CLIENTS) as http:
            begin = time.perf_counter()
            clients = [asyncio.create_task(self._run_client(http)) for _ in range(_CLIENTS)]
            try:
                await self._first_written(begin)
                measures = await self._phase("provider healthy")
                returns = []
                for kind in (REFUSED, SILENCE):
                    await asyncio.to_thread(provider.switch, kind)
                    measures += await self._phase(f"provider gone ({kind})")
                    back = time.perf_counter()
                    await asyncio.to_thread(provider.switch, HEALTHY)
                    seconds = await self._first_written(back) - back
                    name = f"provider back after {kind}, first answer by it after s"
                    returns.append(Measure(name, seconds))
                    measures += await self._phase(f"provider back after {kind}")
            finally:
                for client in clients:
                    client.cancel()
                ends = await asyncio.gather(*clients, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return measures + returns

    async def _run_client(self, http: "httpx.AsyncClient") -> None:
        import httpx

        while True:
            begun = time.perf_counter()
            try:
                response = await http.post("/v1/answers", json={"question": next(self._todo)})
                answer = response.raise_for_status().json()
                written, degraded = answer["generator"] != QUOTED, answer["degraded"]
                failure = ""
            except httpx.HTTPError as error:
                written, degraded, failure = False, False, _failure(error)
                await asyncio.sleep(0.1)  # no tight loop if the service is down
            ended = time.perf_counter()
            self._requests.append(OutageRequest(ended, ended - begun, written, degraded, failure))

    async def _phase(self, name: str) -> list[Measure]:
        """Measure for the phase's length, and until a request that began in it is answered."""
        begin = time.perf_counter()
        await asyncio.sleep(self._seconds)
        await self._answered(begin, begun=True)
        end = time.perf_counter()
        ended = [each for each in self._requests if begin < each.ended <= end]
        return phase_measures(Phase(name, begin, end - begin, ended))

    async def _first_written(self, after: float) -> float:
        """Wait for the first answer by the language model after a moment; returns its time."""
        if written := await self._answered(after, written=True):
            return min(each.ended for each in written)
        raise DocsQAError("The service did not answer with the benchmark's language model.")

    async def _answered(
        self, after: float, *, written: bool = False, begun: bool = False
    ) -> list[OutageRequest]:
        """The requests answered after a moment; waits for one, but not without end.

        With `written`, only those that the language model answered; with `begun`, only those that
        also began after it.
        """
        deadline = time.perf_counter() + _RETURN_SECONDS
        while True:
            answered = [
                each
                for each in self._requests
                if (each.begun if begun else each.ended) > after
                and not each.failure
                and (each.written or not written)
            ]
            if answered or time.perf_counter() > deadline:
                return answered
            await asyncio.sleep(_POLL_SECONDS)


def phase_measures(phase: Phase) -> list[Measure]:
    """Throughput, latency, and the share of answers without the language model.

    That share is of the requests that began in the phase: others may have been answered before it.
    """
    answered = [each for each in phase.requests if not each.failure]
    measures = [Measure(f"{phase.name}, answers a second", len(answered) / phase.seconds)]
    if answered:
        measures += latency_measures(phase.name, [each.seconds for each in answered])
    if begun := [each.degraded for each in answered if each.begun > phase.begin]:
        measures.append(Measure(f"{phase.name}, degraded, %", 100 * sum(begun) / len(begun)))
    failures = Counter(each.failure for each in phase.requests if each.failure)
    for reason, count in failures.items():
        measures.append(Measure(f"{phase.name}, failed ({reason})", count))
    return measures


def _failure(error: "httpx.HTTPError") -> str:
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__
