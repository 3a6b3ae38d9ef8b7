"""The kinds of violations, and the statuses that each route may answer with."""

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
"""The statuses allowed for each route at any time; 409 only during a build."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A response or state that must not occur, with the facts needed to understand it."""

    kind: str
    what: str
    facts: Mapping[str, Any]
