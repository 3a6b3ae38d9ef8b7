"""The resources of a service under load, and what remains of them afterwards."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """The memory and CPU time of the processes at one moment."""

    time: float
    """On time.perf_counter's clock."""
    memory: int
    """Resident memory of the service in bytes."""
    core_seconds: Mapping[str, float]
    """CPU time of each process, by name, since its start."""


@dataclass(slots=True)
class ProcessWatch:
    """Samples a service's memory and all processes' CPU time every second.

    Args:
        service: The service's process id.
        processes: The ids of all processes that share the machine, by name.
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
        """Take one sample."""
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
    """Bytes a minute over the second half of the time: the slope of a least-squares line, or 0."""
    import numpy as np

    middle = (samples[0].time + samples[-1].time) / 2
    later = [sample for sample in samples if sample.time >= middle]
    if len(later) < 2:
        return 0.0
    seconds = [sample.time - middle for sample in later]
    return 60 * float(np.polyfit(seconds, [sample.memory for sample in later], 1)[0])


def core_shares(first: ProcessSample, last: ProcessSample) -> dict[str, float]:
    """The share of one core that each process took between two samples."""
    seconds = last.time - first.time
    return {
        name: (spent - first.core_seconds[name]) / seconds
        for name, spent in last.core_seconds.items()
    }


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Calls, connections and threads of a service."""

    llm_calls: float
    """Calls to the language model under way, by the service's metrics."""
    answers_shared: float
    """Answers under way that can be shared, by the service's metrics."""
    client_connections: int
    provider_connections: int
    """Including idle ones, which are kept for a while."""
    threads: int


def read_service_state(address: str, process_id: int, provider_port: int) -> ServiceState:
    """Read the metrics and the connections of a running service."""
    import httpx
    import psutil

    with httpx.Client(trust_env=False) as client:
        metrics = parse_gauges(client.get(f"{address}/metrics").raise_for_status().text)
    process = psutil.Process(process_id)
    port = int(address.rpartition(":")[2])
    connected = [each for each in process.net_connections("tcp") if each.raddr]
    return ServiceState(
        llm_calls=metrics["docsqa_llm_calls"],
        answers_shared=metrics["docsqa_answers_shared"],
        client_connections=sum(each.laddr.port == port for each in connected),
        provider_connections=sum(each.raddr.port == provider_port for each in connected),
        threads=process.num_threads(),
    )


def parse_gauges(exposition: str) -> dict[str, float]:
    """The metrics without labels, from Prometheus' text format."""
    lines = (line.split() for line in exposition.splitlines() if not line.startswith("#"))
    return {line[0]: float(line[1]) for line in lines if len(line) == 2 and "{" not in line[0]}
