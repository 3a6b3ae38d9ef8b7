"""The memory of the processes, second by second, and whether it grows.

A process that is killed and started again begins a new series. The floor of a series is the least
of each span of it: a leak raises the floor, while a swap, for which a worker holds two indexes for
some seconds, raises only single samples.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.endurance.system.processes import Service
from utils.figures import MIB

_EVERY_SECONDS = 1.0
_WARM_UP_SECONDS = 180.0
"""The time for caches to fill and the allocator to settle."""
_SPAN_SECONDS = 60.0
_JUDGED_SECONDS = 480.0
"""Shorter series, after their warm-up, are not checked for growth."""
MAX_GROWTH = 0.15
"""Of the floor, from the line that fits it best, over the whole series. Fragmentation and the
caches' last entries stay below; losing one index of a swap, or one answer in ten, does not."""
MIN_GROWTH_BYTES = 48 * MIB
"""Less growth than this is the allocator's."""
KEPT_BY_CHROMA = 3400
"""Bytes of each row of a deleted collection that Chroma 1.5.9 holds until it ends: its pool of
graphs never lets go of one. Measured with 384 dimensions: 12.5 MiB for 4,000 rows, without plateau
over 70 collections. Its pool must not be bounded: a graph that is evicted comes back without the
rows that were added in place."""
MAX_PEAK = 1.6
"""Of the median: a worker that switches has two indexes in memory."""


@dataclass(slots=True)
class Series:
    """The samples of one process between start and end."""

    name: str
    start: int
    times: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    deleted: list[tuple[float, int]] = field(default_factory=list)
    """The time and rows of each collection that its Chroma deleted."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of a series after its warm-up."""

    seconds: float
    median: float
    highest: float
    rise: float
    """Of the floor over the whole series, by the line that fits it best; bytes."""
    kept: float = 0.0
    """Bytes of deleted collections that Chroma kept."""

    @property
    def is_flat(self) -> bool:
        """True if memory did not grow beyond the limits, without what Chroma keeps."""
        allowed = max(MAX_GROWTH * self.median, MIN_GROWTH_BYTES)
        peak = max(MAX_PEAK * self.median, self.median + 2 * MIN_GROWTH_BYTES)
        return self.rise - self.kept <= allowed and self.highest - self.kept <= peak


@dataclass(slots=True)
class Memory:
    """Samples services every second."""

    services: Sequence[Service]
    with_chroma: Service
    """The process that runs Chroma."""
    series: dict[tuple[str, int], Series] = field(default_factory=dict)

    def note_deleted(self, rows: int) -> None:
        """Record that Chroma has just deleted a collection."""
        key = self.with_chroma.name, self.with_chroma.starts
        if key in self.series:
            self.series[key].deleted.append((time.perf_counter(), rows))

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_EVERY_SECONDS)

    def sample(self) -> None:
        """Take one sample of each."""
        import psutil

        for service in self.services:
            if service.process_id:
                with contextlib.suppress(psutil.NoSuchProcess):
                    held = psutil.Process(service.process_id).memory_info().rss
                    key = service.name, service.starts
                    series = self.series.setdefault(key, Series(*key))
                    series.times.append(time.perf_counter())
                    series.memory.append(held)


def growth(series: Series, warm_up: float = _WARM_UP_SECONDS) -> Growth | None:
    """The growth of a series; None if it is too short."""
    import numpy as np

    times, memory = np.array(series.times), np.array(series.memory, dtype=float)
    if not len(times) or times[-1] - times[0] < warm_up + _JUDGED_SECONDS:
        return None
    after = times >= times[0] + warm_up
    times, memory = times[after], memory[after]
    spans = ((times - times[0]) // _SPAN_SECONDS).astype(int)
    floor = [memory[spans == span].min() for span in range(spans[-1])]
    slope = float(np.polyfit(np.arange(len(floor)), floor, 1)[0])
    return Growth(
        seconds=float(times[-1] - times[0]),
        median=float(np.median(memory)),
        highest=float(memory.max()),
        rise=slope * (len(floor) - 1),
        kept=KEPT_BY_CHROMA * sum(rows for moment, rows in series.deleted if moment >= times[0]),
    )


def summary(series: Series) -> dict[str, Any]:
    """A series for the report, in MiB."""
    grown = growth(series)
    shown: dict[str, Any] = {
        "process": series.name,
        "start": series.start,
        "seconds": round(series.times[-1] - series.times[0], 1),
        "first": round(series.memory[0] / MIB, 1),
        "median": round(sorted(series.memory)[len(series.memory) // 2] / MIB, 1),
        "highest": round(max(series.memory) / MIB, 1),
        "last": round(series.memory[-1] / MIB, 1),
    }
    if grown:
        shown |= {"rise of the floor": round(grown.rise / MIB, 1), "flat": grown.is_flat}
        shown |= {"of it kept by Chroma": round(grown.kept / MIB, 1)} if grown.kept else {}
    return shown
