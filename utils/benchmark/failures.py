"""What a caller gets, and when, for each way in which a language model can fail."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

from utils.benchmark.outage import outage_settings
from utils.benchmark.processes import BenchmarkRun
from utils.benchmark.provider import FAILURES, HALF, HEALTHY, simulated_provider
from utils.benchmark.report import Measure
from utils.benchmark.services import http_clients, our_service

_NEVER = {"BREAKER_FAILURES": "1000"}
"""Each way is met by a service that tries, not by one that gave up on the way before."""


@dataclass(frozen=True, slots=True)
class Met:
    """One request to a service whose language model fails."""

    kind: str
    status: int
    seconds: float
    generator: str = ""
    reason: str = ""
    """Why it is degraded; empty where it is not."""

    def __str__(self) -> str:
        """All but the seconds."""
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.kind} -> {self.status} {self.generator}{reason}"


def measure_failures(job: BenchmarkRun, asked: Sequence[str], timeout: float) -> list[Met]:
    """Ask once in each way; that of a stream that breaks off is asked as a stream.

    Raises:
        DocsQAError: a process did not start.
    """
    settings = outage_settings(timeout) | _NEVER
    with (
        simulated_provider(job) as provider,
        our_service(job, provider.settings | settings) as service,
    ):
        met = [asyncio.run(_meet(service.address, asked[0], HEALTHY))]  # the warm-up
        for kind, question in zip((HEALTHY, *FAILURES), cycle(asked), strict=False):
            provider.turn(kind)
            met.append(asyncio.run(_meet(service.address, question, kind)))
    return met[1:]


async def _meet(address: str, question: str, kind: str) -> Met:
    streamed = kind == HALF
    async with http_clients(address, 1) as http:
        start = time.perf_counter()
        response = await http.post("/v1/answers", json={"question": question, "stream": streamed})
        seconds = time.perf_counter() - start
    if not response.is_success:
        return Met(kind, response.status_code, seconds)
    answer = last_event(response.text) if streamed else response.json()
    name = f"{kind} (streamed)" if streamed else kind
    reason = answer["degraded_reason"] or ""
    return Met(name, response.status_code, seconds, answer["generator"], reason)


def last_event(stream: str) -> dict[str, Any]:
    """The data of a stream's last event."""
    event: dict[str, Any] = json.loads(stream.rpartition("data: ")[2])
    return event


def failures_measures(met: Sequence[Met]) -> list[Measure]:
    """A line each; the figure is the seconds to the answer."""
    return [Measure(f"{each}, s", each.seconds) for each in met]
