"""One HTTP request and its response."""

from dataclasses import dataclass
from typing import Any

NO_ANSWER = 0
"""The status of a request whose connection failed."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response."""

    route: str
    worker: str
    sent: float
    """On time.perf_counter's clock."""
    received: float
    status: int
    body: Any = None
    """The JSON of the response; of a stream, a list of the data of its events."""
    asked: str = ""
    """The question, query or path, for reports."""
    error: str = ""
    """The exception of a failed connection."""

    @property
    def seconds(self) -> float:
        """Time from request to response."""
        return self.received - self.sent
