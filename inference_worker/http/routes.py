"""The routes for questions, searches and operation."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse

from inference_worker.answering.answerer import Answerer
from inference_worker.answering.metrics import CONTENT_TYPE
from inference_worker.http import examples
from inference_worker.http.answer_events import STREAM_EXAMPLE, encode_events, encode_typed
from inference_worker.http.event_stream import EventStream, while_connected
from inference_worker.http.problems import MEDIA_TYPE
from inference_worker.http.readiness import Liveness, Readiness, readiness
from inference_worker.http.schemas import (
    AnswerRequest,
    AnswerResponse,
    LLMResponse,
    ProblemDocument,
    QuestionText,
    SearchRequest,
    SearchResponse,
)
from utils.settings import Settings


def documented_problem(description: str, example: dict[str, Any]) -> dict[str, Any]:
    """An error response in OpenAPI."""
    schema = ProblemDocument.model_json_schema()
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


REFUSED: dict[int | str, dict[str, Any]] = {
    400: documented_problem("The Host header or the body is malformed", examples.MALFORMED),
    421: documented_problem("The host name is not allowed", examples.FOREIGN_HOST),
}
"""Any request may be refused like this."""
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The client has this response, as its If-None-Match states"}
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    403: documented_problem("A web page of another origin sent it", examples.FOREIGN_ORIGIN),
    413: documented_problem("The body is too large", examples.TOO_LARGE),
    422: documented_problem("The question is missing, blank or too long", examples.INVALID),
    503: documented_problem(
        "The index or the store is not available, or the service is overloaded",
        examples.UNAVAILABLE,
    ),
}

router = APIRouter()


def from_app(name: str) -> Any:
    """A dependency on one of the app's parts, see `create_app`."""

    async def part(request: Request) -> Any:  # async, as a sync dependency runs in a thread
        return getattr(request.app.state, name)

    return Depends(part)


def check_length(request: Request, field: tuple[str, str], text: str) -> None:
    """Reject a text over the configured limit."""
    settings: Settings = request.app.state.settings
    limit = settings.max_question_characters
    if len(text) > limit:
        message = f"has {len(text)} characters; {limit} are allowed"
        raise RequestValidationError([{"type": "too_long", "loc": field, "msg": message}])


async def reject_unknown_parameters(request: Request) -> None:
    """Reject query parameters that the route does not have: they would have no effect."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    unknown = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": "no such parameter"}
        for name in request.query_params
        if name not in known
    ]
    if unknown:
        raise RequestValidationError(unknown)


OWN_PARAMETERS_ONLY = Depends(reject_unknown_parameters)
AppAnswerer = Annotated[Answerer, from_app("answerer")]


@router.post("/inference_endpoint", tags=["answers"], responses=PROBLEMS)
async def inference_endpoint(
    request: Request,
    answerer: AppAnswerer,
    message: Annotated[
        QuestionText,
        Query(
            description="The question, in plain words.",
            openapi_examples={"kms": {"value": examples.QUESTION}},
        ),
    ],
) -> LLMResponse:
    """Answer a question, and name the documents to read next."""
    check_length(request, ("query", "message"), message)
    answer = await while_connected(request, answerer.answer(message))
    return LLMResponse(answer=answer.text, docs=answer.docs)


@router.post(
    "/v1/answers",
    tags=["answers"],
    dependencies=[OWN_PARAMETERS_ONLY],
    response_model=AnswerResponse,
    responses=PROBLEMS | {200: {"content": {EventStream.media_type: STREAM_EXAMPLE}}},
)
async def answers(
    request: Request, answerer: AppAnswerer, body: AnswerRequest
) -> AnswerResponse | EventStream:
    """Answer a question, with the passages it is based on and the checks of the answer."""
    check_length(request, ("body", "question"), body.question)
    if body.stream:
        events = answerer.events(body.question, body.top_k, filters=body.search_filters)
        encoded = encode_events(events, request, encode_typed, error_name="error")
        return await EventStream.from_first_event(request, encoded)
    answering = answerer.answer(body.question, body.top_k, filters=body.search_filters)
    answer = await while_connected(request, answering)
    return AnswerResponse.of(answer)


@router.post(
    "/v1/search",
    name="search",
    tags=["answers"],
    dependencies=[OWN_PARAMETERS_ONLY],
    responses=PROBLEMS,
)
async def search_passages(
    request: Request, answerer: AppAnswerer, body: SearchRequest
) -> SearchResponse:
    """Find the passages that answer a query best, without a language model."""
    check_length(request, ("body", "query"), body.query)
    searching = answerer.search(body.query, body.top_k, body.search_filters)
    findings = await while_connected(request, searching)
    return SearchResponse.of(body.query, findings)


@router.get(
    "/metrics",
    tags=["operation"],
    response_class=PlainTextResponse,
    responses=REFUSED
    | NOT_MODIFIED
    | {200: {"content": {"text/plain": {"example": examples.METRICS}}}},
)
async def metrics(request: Request) -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(request.app.state.metrics.exposition(), media_type=CONTENT_TYPE)


@router.get("/healthz", tags=["operation"], responses=REFUSED | NOT_MODIFIED)
async def healthz() -> Liveness:
    """Report that the process is alive."""
    return Liveness()


@router.get(
    "/readyz",
    tags=["operation"],
    responses=REFUSED
    | NOT_MODIFIED
    | {503: {"description": "Not ready; `checks` states why", "model": Readiness}},
)
async def readyz(request: Request, response: Response) -> Readiness:
    """Report whether questions can be answered: store reachable, index present, model matches."""
    state = readiness(request.app.state.reader, request.app.state.load)
    response.status_code = 200 if state.ready else 503
    return state
