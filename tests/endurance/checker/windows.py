"""Spans of time in which something was away or moving, for telling what that excuses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

STORE, BUILD, SWAP = "store", "build", "swap"


@dataclass(slots=True)
class Window:
    """One such span, on time.perf_counter's clock."""

    kind: str
    begun: float
    ended: float = math.inf


@dataclass(slots=True)
class Windows:
    """All of a run: the store away, an index being built, an index gone live, a worker away."""

    all: list[Window] = field(default_factory=list)

    def open(self, kind: str, now: float) -> Window:
        """Begin one."""
        window = Window(kind, now)
        self.all.append(window)
        return window

    def add(self, kind: str, begun: float, ended: float) -> None:
        """Note one whose end is known."""
        self.all.append(Window(kind, begun, ended))

    def overlap(self, kinds: Sequence[str], begun: float, ended: float) -> bool:
        """Whether a span of time touches one of these kinds."""
        return any(
            window.kind in kinds and window.begun <= ended and window.ended >= begun
            for window in reversed(self.all)
        )

    def calm_after(self, moment: float, seconds: float, kinds: Sequence[str]) -> float:
        """When so many seconds will have passed since a moment, those in windows not counted."""
        at, left = moment, seconds
        relevant = (w for w in self.all if w.kind in kinds and w.ended > moment)
        for window in sorted(relevant, key=lambda window: window.begun):
            if window.begun - at >= left:
                break
            left -= max(window.begun - at, 0.0)
            at = max(at, window.ended)
        return at + left


def worker_window(worker: str) -> str:
    """The kind of window in which a worker is away."""
    return f"worker {worker}"
