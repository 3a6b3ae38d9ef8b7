"""Spans of time of outages, builds and swaps, which excuse some responses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

STORE, BUILD, SWAP = "store", "build", "swap"


@dataclass(slots=True)
class Window:
    """One span on time.perf_counter's clock."""

    kind: str
    begun: float
    ended: float = math.inf


@dataclass(slots=True)
class Windows:
    """All windows of a run: store down, build, swap, worker down."""

    all: list[Window] = field(default_factory=list)

    def open(self, kind: str, now: float) -> Window:
        """Open a window."""
        window = Window(kind, now)
        self.all.append(window)
        return window

    def add(self, kind: str, begun: float, ended: float) -> None:
        """Add a window that has ended."""
        self.all.append(Window(kind, begun, ended))

    def overlap(self, kinds: Sequence[str], begun: float, ended: float) -> bool:
        """True if a span of time overlaps a window of these kinds."""
        return any(
            window.kind in kinds and window.begun <= ended and window.ended >= begun
            for window in reversed(self.all)
        )

    def calm_after(self, moment: float, seconds: float, kinds: Sequence[str]) -> float:
        """The moment when `seconds` have passed since a moment, without the time in windows."""
        at, left = moment, seconds
        relevant = (w for w in self.all if w.kind in kinds and w.ended > moment)
        for window in sorted(relevant, key=lambda window: window.begun):
            if window.begun - at >= left:
                break
            left -= max(window.begun - at, 0.0)
            at = max(at, window.ended)
        return at + left


def worker_window(worker: str) -> str:
    """The kind of window in which a worker is down."""
    return f"worker {worker}"
