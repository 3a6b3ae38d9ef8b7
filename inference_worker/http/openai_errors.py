"""The errors of the OpenAI-compatible routes, in OpenAI's format."""

from http import HTTPStatus
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


def openai_status(status: HTTPStatus) -> HTTPStatus:
    """OpenAI's status: an invalid request is 400 there, not 422."""
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def error_body(
    status: HTTPStatus, message: str, code: str, param: str | None = None
) -> dict[str, Any]:
    """The body of an error response."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    else:
        kind = "invalid_request_error"
    error = Error(message=message, type=kind, param=param, code=code.replace("-", "_"))
    return ErrorResponse(error=error).model_dump()
