"""The limits of a conversion and its result."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What converting one file may cost; beyond it the file is refused, never cut."""

    seconds: float = 60.0
    memory_bytes: int = 1 << 30
    """Address space of the child process."""
    output_bytes: int = 10 << 20
    input_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class Converted:
    """A file as markdown, with its own metadata; "" for what it does not state."""

    text: str
    title: str = ""
    url: str = ""
    """Its live address (http or https)."""
    changed: str = ""
    """When it was last changed: an ISO 8601 date, or an instant in UTC."""
