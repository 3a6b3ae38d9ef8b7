"""Maps every error to its HTTP response: the only place where statuses such as 429 and 503 are set.

    DocsQAError (utils/errors.py)   by _PROBLEMS: 409 while another process writes the index,
                                    507 for a full disk, or 503; 500 for a class not listed
    ProblemError                    by its Problem: 401, 403, 404, 412, 422
    RequestValidationError          422, naming the invalid fields (400 on OpenAI's routes)
    HTTPException                   its status: 404 and 405 from the router, 413 from middleware.py,
                                    499 for the log where the client disconnected
    any other exception             500

A language model that is overloaded or fails is no error: the answer quotes the passages instead
(concurrency_limit.py). Responses are problem documents (RFC 9457), or errors in OpenAI's
format on the OpenAI-compatible routes.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from inference_worker.http import openai_errors
from inference_worker.http.event_stream import CLIENT_CLOSED_REQUEST
from utils.errors import (
    DiskFullError,
    DocsQAError,
    EmbeddingApiError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    IndexUnavailableError,
    ModelError,
    OverloadedError,
    SettingsError,
    StoreUnreachableError,
)
from utils.settings import build_command

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_LISTED_FIELDS = 5
"""How many invalid fields of a request are listed."""
MAX_FIELD_NAME = 200
"""How many characters of an invalid field's name are shown: a client may send any name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The response to one kind of error."""

    type: str
    status: int
    title: str
    detail: str
    """How to fix it. Exceptions' own messages contain paths, so only the log shows them."""


_RETRY = {"Retry-After": "5"}
INTERNAL = Problem(
    "internal-error",
    500,
    "An unexpected error occurred",
    "Try again. If it persists, give the operator the request id: the log has the cause.",
)
OVERLOADED = Problem(
    "overloaded",
    503,
    "More questions arrive than can be answered in time",
    "Try again in a few seconds; the service is working.",
)
_MODEL_UNAVAILABLE = Problem(
    "model-unavailable",
    503,
    "The embedding model cannot be loaded",
    "The operator must provide the model that the index was built with; see the log.",
)
_PROBLEMS: dict[type[DocsQAError], Problem] = {
    IndexMissingError: Problem(
        "index-missing",
        503,
        "There is no index yet",
        f"The operator must build the index ({build_command()}); this service then loads it by "
        "itself.",
    ),
    IndexMismatchError: Problem(
        "model-mismatch",
        503,
        "The index was built with another embedding model",
        "The operator must rebuild the index with the model that the settings name, or set "
        "EMBEDDING_MODEL_NAME to the index's model; GET /readyz names both.",
    ),
    IndexDamagedError: Problem(
        "index-damaged",
        503,
        "The index cannot be read",
        f"The operator must restore the index or build it again ({build_command()}).",
    ),
    StoreUnreachableError: Problem(
        "store-unreachable",
        503,
        "The vector store does not answer",
        "Try again in a few seconds; this service reconnects by itself.",
    ),
    ModelError: _MODEL_UNAVAILABLE,
    EmbeddingApiError: Problem(
        "embedding-api-unavailable",
        503,
        "The embedding model's API does not answer",
        "Try again in a few seconds; this service recovers by itself. If it persists, the operator "
        "finds the cause in the log: the API's key, address, model or limits.",
    ),
    IndexLockedError: Problem(
        "index-locked",
        409,
        "Another process writes the index",
        "Try again when it has ended.",
    ),
    DiskFullError: Problem(
        "disk-full",
        507,
        "The disk of the index is full",
        "The operator must free space on it. Searches go on meanwhile.",
    ),
    OverloadedError: OVERLOADED,
    SettingsError: _MODEL_UNAVAILABLE,  # while running: the device of the settings does not exist
    IndexUnavailableError: Problem(
        "index-unavailable", 503, "The index cannot be read", "Try again in a few seconds."
    ),
}


class ProblemError(Exception):
    """Raised to respond with a problem that only the HTTP layer knows."""

    def __init__(
        self,
        problem: Problem,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        param: str | None = None,
    ) -> None:
        """Create the error with the arguments of `problem_response`."""
        super().__init__(problem.type)
        self.response: dict[str, Any] = {
            "problem": problem,
            "detail": detail,
            "headers": headers,
            "param": param,
        }


MODEL_NOT_FOUND = Problem(
    "model-not-found", 404, "There is no such model", "GET /v1/models lists the models."
)
INVALID_REQUEST = Problem("invalid-request", 422, "The request is not valid", "")
BAD_REQUEST = Problem(
    "bad-request",
    400,
    "The request is malformed",
    "Send HTTP/1.1 with exactly one valid Host header, and a body of JSON in UTF-8.",
)
BODY_TOO_LARGE = Problem("body-too-large", 413, "The request's body is too large", "Send less.")


def problem_for(error: Exception) -> Problem:
    """Look up the problem of an error's class, or of its nearest ancestor."""
    for kind in type(error).__mro__:
        if kind in _PROBLEMS:
            return _PROBLEMS[kind]
    return INTERNAL


def problem_body(
    request: Request, problem: Problem, detail: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """The body of an error response, in the format of the request's route."""
    if _as_openai(request):
        message = detail or problem.detail
        return openai_errors.error_body(problem.status, message, problem.type, param)
    request_id = request.scope.get("request_id", "")
    return problem_document(problem, detail, request.url.path, request_id)


def record_problem(request: Request | None, error: DocsQAError) -> Problem:
    """Look up the problem of an error that ends a request, and log it.

    A refusal of work is counted instead: there may be hundreds a second.
    """
    problem = problem_for(error)
    if not isinstance(error, OverloadedError):
        log.warning("%s: %s", problem.type, error)
    elif request:
        request.app.state.metrics.count_refusal(problem.type)
    return problem


def error_event_data(request: Request, error: Exception) -> str:
    """Log an error after the first event of an answer; returns the data of the error event."""
    problem = problem_for(error)
    log.warning("%s after the first event of an answer", problem.type, exc_info=error)
    return json.dumps(problem_body(request, problem))


def problem_document(
    problem: Problem, detail: str | None, instance: str, request_id: str
) -> dict[str, Any]:
    """The body of a problem document; `detail` defaults to the problem's own."""
    return {
        "type": f"urn:sagemaker-docs-qa:problem:{problem.type}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail or problem.detail,
        "instance": instance,
        "request_id": request_id,
    }


def problem_response(
    request: Request,
    problem: Problem,
    detail: str | None = None,
    headers: Mapping[str, str] | None = None,
    param: str | None = None,
) -> JSONResponse:
    """Create an error response; `param` names the invalid field, if one is."""
    body = problem_body(request, problem, detail, param)
    if _as_openai(request):
        # There, an invalid request is 400.
        status = 400 if problem.status == INVALID_REQUEST.status else problem.status
        return JSONResponse(body, status, dict(headers or {}))
    return JSONResponse(body, problem.status, dict(headers or {}), media_type=MEDIA_TYPE)


def _as_openai(request: Request) -> bool:
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return openai_errors.uses_openai_errors(path)


def install_error_handlers(app: FastAPI) -> None:
    """Make the app respond to every error with a problem document."""

    @app.exception_handler(DocsQAError)
    async def project_error(request: Request, error: DocsQAError) -> JSONResponse:
        problem = record_problem(request, error)
        headers = _RETRY if problem.status == 503 else None
        return problem_response(request, problem, error.detail or None, headers)

    @app.exception_handler(ProblemError)
    async def problem_error(request: Request, error: ProblemError) -> JSONResponse:
        return problem_response(request, **error.response)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        fields = error.errors()
        param = _name(fields[0]) if fields else None
        detail = "; ".join(map(_describe, fields[:MAX_LISTED_FIELDS]))
        if (more := len(fields) - MAX_LISTED_FIELDS) > 0:
            detail += f"; and {more:,} more"
        return problem_response(request, INVALID_REQUEST, detail, param=param)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == CLIENT_CLOSED_REQUEST:
            return Response(status_code=CLIENT_CLOSED_REQUEST)  # nobody reads it
        if error.status_code == BODY_TOO_LARGE.status:
            return problem_response(request, BODY_TOO_LARGE, error.detail)
        if error.status_code == BAD_REQUEST.status:
            return problem_response(request, BAD_REQUEST)
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            error.headers = {"Allow": _allowed_methods(request)}
        status = HTTPStatus(error.status_code)
        slug = status.phrase.lower().replace(" ", "-")
        problem = Problem(
            slug, error.status_code, status.phrase, status.description or status.phrase
        )
        return problem_response(request, problem, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
        log.error("Unexpected error, request %s", request.scope.get("request_id"), exc_info=error)
        return problem_response(request, INTERNAL)


def _allowed_methods(request: Request) -> str:
    """The methods of all routes that match the path; the router names those of the first alone."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [
        method
        for method in ("GET", "POST", "PUT", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ] or ["GET"]  # of static files, which are mounted
    return ", ".join(["HEAD", *found] if "GET" in found else found)


def _describe(error: Mapping[str, object]) -> str:
    """One invalid field: its name and what is wrong with it."""
    return f"{_name(error)}: {str(error['msg']).removeprefix('Value error, ')}"


def _name(error: Mapping[str, object]) -> str:
    # For a body that is not JSON, the location is the offset of the syntax error.
    place = error["loc"] if error["type"] != "json_invalid" else ()
    parts = [str(part) for part in place] if isinstance(place, tuple) else []
    return ".".join(parts[1:])[:MAX_FIELD_NAME] or "body"
