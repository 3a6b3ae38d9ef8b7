"""What a conversion may take, and what it gives."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; more is an error, never half a document."""

    seconds: float = 60.0
    memory_bytes: int = 1 << 30
    """Address space of the process that converts."""
    output_bytes: int = 10 << 20
    input_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True)
class Converted:
    """A file as markdown, with what it says of itself."""

    text: str
    title: str = ""
    url: str = ""
    """Where a person reads it live (http or https)."""
    changed: str = ""
    """When it was last changed: an ISO 8601 date, or an instant in UTC."""
