"""The errors of the OpenAI-compatible routes, in OpenAI's format."""

from typing import Any

from pydantic import BaseModel

ROUTES = ("/v1/chat", "/v1/models")


class Error(BaseModel):
    """The error."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(BaseModel):
    """An error response."""

    error: Error


def uses_openai_errors(path: str) -> bool:
    """Return whether a path belongs to the OpenAI-compatible API."""
    return any(path == route or path.startswith(f"{route}/") for route in ROUTES)


def error_body(status: int, message: str, code: str, param: str | None = None) -> dict[str, Any]:
    """The body of an error response."""
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    if status >= 500:
        kind = "server_error"
    error = Error(message=message, type=kind, param=param, code=code.replace("-", "_"))
    return ErrorResponse(error=error).model_dump()
