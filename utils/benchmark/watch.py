"""What a service holds on to under load: memory, cores, and what is left when the load has gone."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MIB = 2**20
_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One look at the processes."""

    time: float
    """On time.perf_counter's clock."""
    memory: int
    """What the service holds, in bytes of resident memory."""
    core_seconds: Mapping[str, float]
    """Of each process by name, since its start."""


@dataclass(slots=True)
class ProcessWatch:
    """Looks at a service's memory and at the work of all processes, every second.

    Args:
        service: The service's process.
        processes: All processes that share the machine, by name.
    """

    service: int
    processes: Mapping[str, int]
    samples: list[ProcessSample] = field(default_factory=list)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_EVERY_SECONDS)

    def sample(self) -> ProcessSample:
        """Look now."""
        import psutil

        times = {name: psutil.Process(pid).cpu_times() for name, pid in self.processes.items()}
        sample = ProcessSample(
            time=time.perf_counter(),
            memory=psutil.Process(self.service).memory_info().rss,
            core_seconds={name: spent.user + spent.system for name, spent in times.items()},
        )
        self.samples.append(sample)
        return sample


def memory_growth(samples: Sequence[ProcessSample]) -> float:
    """Bytes a minute over the second half of the time, by the line that fits best; 0 without."""
    import numpy as np

    middle = (samples[0].time + samples[-1].time) / 2
    later = [sample for sample in samples if sample.time >= middle]
    if len(later) < 2:
        return 0.0
    seconds = [sample.time - middle for sample in later]
    return 60 * float(np.polyfit(seconds, [sample.memory for sample in later], 1)[0])


def core_shares(first: ProcessSample, last: ProcessSample) -> dict[str, float]:
    """How much of a core each process took between two samples; 1 is a whole core."""
    seconds = last.time - first.time
    return {
        name: (spent - first.core_seconds[name]) / seconds
        for name, spent in last.core_seconds.items()
    }


def samples_between(
    samples: Sequence[ProcessSample], begin: float, end: float
) -> list[ProcessSample]:
    """The samples of a span of time."""
    return [sample for sample in samples if begin <= sample.time <= end]


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What a service holds beside memory."""

    llm_calls: float
    """Calls to the language model under way, by its own metrics."""
    answers_shared: float
    """Answers under way that may be shared, by its own metrics."""
    client_connections: int
    provider_connections: int
    """Idle ones are kept for a while, so that the next answer needs none."""
    threads: int


def read_service_state(address: str, process_id: int, provider_port: int) -> ServiceState:
    """Ask a service and look at its process."""
    import httpx
    import psutil

    with httpx.Client(trust_env=False) as client:
        shown = parse_gauges(client.get(f"{address}/metrics").raise_for_status().text)
    process = psutil.Process(process_id)
    port = int(address.rpartition(":")[2])
    connected = [each for each in process.net_connections("tcp") if each.raddr]
    return ServiceState(
        llm_calls=shown["docsqa_llm_calls"],
        answers_shared=shown["docsqa_answers_shared"],
        client_connections=sum(each.laddr.port == port for each in connected),
        provider_connections=sum(each.raddr.port == provider_port for each in connected),
        threads=process.num_threads(),
    )


def parse_gauges(exposition: str) -> dict[str, float]:
    """The metrics that have no labels, from Prometheus' text format."""
    lines = (line.split() for line in exposition.splitlines() if not line.startswith("#"))
    return {line[0]: float(line[1]) for line in lines if len(line) == 2 and "{" not in line[0]}
