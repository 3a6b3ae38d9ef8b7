"""Errors as problem documents (RFC 9457), or as OpenAI's clients know them; made here alone."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from inference_worker.http import openai_errors
from inference_worker.http.event_stream import CLIENT_CLOSED_REQUEST
from utils.errors import (
    DocsQAError,
    EmbeddingApiError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    IndexUnavailableError,
    ModelError,
    SettingsError,
    StoreUnreachableError,
)
from utils.settings import build_command

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_LISTED_FIELDS = 5
"""How many wrong fields of one request are told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """How one kind of error is told to a client."""

    type: str
    status: HTTPStatus
    title: str
    detail: str
    """What to do; errors' own messages name places of this machine and stay in the log."""


_RETRY = {"Retry-After": "5"}
INTERNAL = Problem(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Something unforeseen failed",
    "Try again. If it stays, give the operator the request id: the log says what failed.",
)
_MODEL_UNAVAILABLE = Problem(
    "model-unavailable",
    HTTPStatus.SERVICE_UNAVAILABLE,
    "The embedding model cannot be loaded",
    "The operator must provide the model that the index was built with; see the log.",
)
_PROBLEMS: dict[type[DocsQAError], Problem] = {
    IndexMissingError: Problem(
        "index-missing",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "There is no index yet",
        f"The operator must build the index ({build_command()}); this service then follows by "
        "itself.",
    ),
    IndexMismatchError: Problem(
        "model-mismatch",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The index was built with another embedding model",
        "The operator must build the index again with the model that the settings name, or name "
        "the index's model in EMBEDDING_MODEL_NAME; GET /readyz says which differ.",
    ),
    IndexDamagedError: Problem(
        "index-damaged",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The index cannot be read",
        f"The operator must restore the index or build it again ({build_command()}).",
    ),
    StoreUnreachableError: Problem(
        "store-unreachable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The vector store does not answer",
        "Try again in a few seconds; this service reconnects by itself.",
    ),
    ModelError: _MODEL_UNAVAILABLE,
    EmbeddingApiError: Problem(
        "embedding-api-unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The embedding model's API does not answer",
        "Try again in a few seconds; this service recovers by itself. If it stays, the operator "
        "finds the reason in the log: the API's key, address, model or limits.",
    ),
    IndexLockedError: Problem(
        "index-locked",
        HTTPStatus.CONFLICT,
        "The index is being built",
        "Try again when the build has ended; it says how far it is where it was started.",
    ),
    SettingsError: _MODEL_UNAVAILABLE,  # once it runs: a device asked for that is not there
    IndexUnavailableError: Problem(
        "index-unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The index cannot be read",
        "Try again in a few seconds.",
    ),
}


class ProblemError(Exception):
    """A request that is answered with a problem that no layer below knows of."""

    def __init__(
        self, problem: Problem, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(problem.type)
        self.problem = problem
        self.detail = detail
        self.headers = headers


MODEL_NOT_FOUND = Problem(
    "model-not-found",
    HTTPStatus.NOT_FOUND,
    "There is no such model",
    "GET /v1/models lists what may be asked for.",
)
INVALID_REQUEST = Problem(
    "invalid-request", HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid", ""
)
BODY_TOO_LARGE = Problem(
    "body-too-large",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "The request's body is too large",
    "Send less.",
)


def problem_for(error: DocsQAError) -> Problem:
    """Look up how an error is told; the nearest ancestor counts."""
    for kind in type(error).__mro__:
        if kind in _PROBLEMS:
            return _PROBLEMS[kind]
    return INTERNAL


def problem_body(
    request: Request, problem: Problem, detail: str | None = None, param: str | None = None
) -> dict[str, Any]:
    """The body of a problem document, or of OpenAI's error where its clients ask."""
    if _as_openai(request):
        message = detail or problem.detail
        return openai_errors.error_body(problem.status, message, problem.type, param)
    request_id = request.scope.get("request_id", "")
    return problem_document(problem, detail, request.url.path, request_id)


def problem_document(
    problem: Problem, detail: str | None, instance: str, request_id: str
) -> dict[str, Any]:
    """The body of a problem document; `detail` defaults to the problem's own."""
    return {
        "type": f"urn:sagemaker-docs-qa:problem:{problem.type}",
        "title": problem.title,
        "status": problem.status.value,
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
    """Write a problem document; `param` names the field that is wrong, where one is."""
    body = problem_body(request, problem, detail, param)
    if _as_openai(request):
        return JSONResponse(body, openai_errors.openai_status(problem.status), dict(headers or {}))
    return JSONResponse(body, problem.status, dict(headers or {}), media_type=MEDIA_TYPE)


def _as_openai(request: Request) -> bool:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return openai_errors.uses_openai_errors(path)


def install_error_handlers(app: FastAPI) -> None:
    """Have every error of the app told as a problem document."""

    @app.exception_handler(DocsQAError)
    async def known(request: Request, error: DocsQAError) -> JSONResponse:
        problem = problem_for(error)
        log.warning("%s: %s", problem.type, error)
        headers = _RETRY if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return problem_response(request, problem, headers=headers)

    @app.exception_handler(ProblemError)
    async def told(request: Request, error: ProblemError) -> JSONResponse:
        return problem_response(request, error.problem, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = error.errors()
        param = _name(wrong[0]) if wrong else None
        detail = "; ".join(map(_told, wrong[:MAX_LISTED_FIELDS]))
        more = (
            f"; and {len(wrong) - MAX_LISTED_FIELDS:,} more"
            if len(wrong) > MAX_LISTED_FIELDS
            else ""
        )
        return problem_response(request, INVALID_REQUEST, detail + more, param=param)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if error.status_code == CLIENT_CLOSED_REQUEST:
            return Response(status_code=CLIENT_CLOSED_REQUEST)  # nobody reads it
        status = HTTPStatus(error.status_code)
        if status == BODY_TOO_LARGE.status:
            return problem_response(request, BODY_TOO_LARGE, error.detail)
        slug = status.phrase.lower().replace(" ", "-")
        problem = Problem(slug, status, status.phrase, status.description or status.phrase)
        return problem_response(request, problem, headers=error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        log.error("Unforeseen, request %s", request.scope.get("request_id"), exc_info=error)
        return problem_response(request, INTERNAL)


def _told(error: Mapping[str, object]) -> str:
    """One wrong field in a line: where it is and what is wrong with it."""
    return f"{_name(error)}: {str(error['msg']).removeprefix('Value error, ')}"


def _name(error: Mapping[str, object]) -> str:
    # Of a body that is no JSON it is the place where reading stopped.
    place = error["loc"] if error["type"] != "json_invalid" else ()
    parts = [str(part) for part in place] if isinstance(place, tuple) else []
    return ".".join(parts[1:]) or "body"
