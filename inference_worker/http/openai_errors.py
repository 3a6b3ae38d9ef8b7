"""Errors as OpenAI's clients expect them on the routes that speak OpenAI's API."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

ROUTES = ("/v1/chat", "/v1/models")


class Error(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorResponse(BaseModel):
    """An error."""

    error: Error


def uses_openai_errors(path: str) -> bool:
    """Tell whether who asks at a path expects these errors."""
    return any(path == route or path.startswith(f"{route}/") for route in ROUTES)


def openai_status(status: HTTPStatus) -> HTTPStatus:
    """The status that OpenAI gives: a request that is not valid is 400 there."""
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def error_body(
    status: HTTPStatus, message: str, code: str, param: str | None = None
) -> dict[str, Any]:
    """The body of an error."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = "server_error"
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = "rate_limit_error"
    else:
        kind = "invalid_request_error"
    error = Error(message=message, type=kind, param=param, code=code.replace("-", "_"))
    return ErrorResponse(error=error).model_dump()
