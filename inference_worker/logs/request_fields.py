"""The fields of a request's line in the log, which its parts add."""

from contextvars import ContextVar
from typing import Any

_fields: ContextVar[dict[str, Any] | None] = ContextVar("request_fields", default=None)


def begin_request(**fields: Any) -> dict[str, Any]:
    """Begin with the fields of the request in whose context this is called."""
    _fields.set(fields)
    return fields


def add_log_fields(**fields: Any) -> None:
    """Add fields to those of the current request; outside of one, do nothing."""
    current = _fields.get()
    if current is not None:
        current.update(fields)


def log_fields(*names: str) -> dict[str, Any]:
    """The named fields of the current request that are set; {} outside of a request."""
    current = _fields.get() or {}
    return {name: current[name] for name in names if current.get(name)}
