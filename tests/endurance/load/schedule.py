"""The events of a run and their times, generated from a seed."""

import random
from dataclasses import dataclass

KILL_WORKER, KILL_STORE = "worker killed", "store killed"
BUILD, BUILD_KILLED, SWAP, SWAP_KILLED = "build", "build killed", "swap", "swap killed"
TWO_BUILDERS = "two builders"
_GAPS = {"worker": (50.0, 90.0), "store": (80.0, 140.0), "build": (25.0, 60.0)}
"""Seconds between two events of a lane, in a run of ten minutes or more."""
_BUILDS = {BUILD: 5, BUILD_KILLED: 3, SWAP: 2, SWAP_KILLED: 2, TWO_BUILDERS: 2}
_LONG = 600.0
_FIRST_WORKER_UNTIL, _STORE_UNTIL = 0.2, 0.6
"""Shares of the time after which the first worker, and the store, are killed no more: only a
process that is left alone for long shows whether its memory grows."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    at: float
    """Seconds after the start; later if the previous event of its lane takes longer."""
    kind: str
    seconds: float = 0.0
    """The downtime of a killed process, or the share of a build's time after which it is killed."""
    worker: int = 0


def plan(seed: int, seconds: float, workers: int, *, server: bool) -> dict[str, list[Event]]:
    """The events of each lane in order; the lanes are independent."""
    rng = random.Random(seed)  # moments, not secrets
    scale = min(1.0, max(seconds / _LONG, 0.1))
    lanes: dict[str, list[Event]] = {"build": [], "worker": []}
    first: list[str] = list(_BUILDS)
    for at in _moments(rng, "build", 0.05 * seconds, seconds, scale):
        # Each kind once before any is repeated.
        kind = first.pop(0) if first else rng.choices(list(_BUILDS), list(_BUILDS.values()))[0]
        lanes["build"].append(Event(at, kind, rng.uniform(0.3, 1.0)))
    for at in _moments(rng, "worker", 0.2 * seconds, seconds, scale):
        may_be_first = workers == 1 or at < _FIRST_WORKER_UNTIL * seconds
        worker = rng.randrange(workers) if may_be_first else workers - 1
        lanes["worker"].append(Event(at, KILL_WORKER, rng.uniform(1, 3), worker))
    if server:
        lanes["store"] = [
            Event(at, KILL_STORE, rng.uniform(2, 8))
            for at in _moments(rng, "store", 0.4 * seconds, _STORE_UNTIL * seconds, scale)
        ]
    return lanes


def _moments(rng: random.Random, lane: str, first: float, last: float, scale: float) -> list[float]:
    """Moments from the first to the last, at random intervals."""
    moments = [first]
    low, high = _GAPS[lane]
    while (at := moments[-1] + scale * rng.uniform(low, high)) < last:
        moments.append(at)
    return moments
