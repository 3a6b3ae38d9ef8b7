"""A request, what came of it, and what must not be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOST, STALE, RESURRECTED, MIXED = "lost", "stale", "resurrected", "mixed"
HALF, DOUBLED, WRONG, STATUS = "half-visible", "doubled", "wrong", "status"
JOB, BUILDER, MEMORY, LEFTOVER = "job", "builder", "memory", "leftover"
ANSWERED = {
    "search": {200},
    "answers": {200},
    "answers, streamed": {200},
    "inference_endpoint": {200},
    "list": {200},
    "read": {200, 404},
    "job": {200},
    "put": {200, 201, 202, 409, 412},
    "post": {200, 201, 202, 409},
    "delete": {200, 202, 404, 409, 412},
}
"""The statuses that a route may answer with at any time; 409 only while an index is built."""
NO_ANSWER = 0
"""The status of a connection that failed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came of it."""

    route: str
    worker: str
    sent: float
    """On time.perf_counter's clock."""
    received: float
    status: int
    body: Any = None
    """The JSON of the response; of a stream a list of its events' data."""
    asked: str = ""
    """What was asked for."""
    error: str = ""
    """Of a connection that failed."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.received - self.sent


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be, with what is needed to understand it."""

    kind: str
    what: str
    facts: Mapping[str, Any]
