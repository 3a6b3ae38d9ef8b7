"""The routes: what is asked, who answers."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from inference_worker.answering import Answerer
from inference_worker.problems import MEDIA_TYPE
from inference_worker.readiness import readiness
from inference_worker.schemas import (
    AnswerRequest,
    AnswerResponse,
    Liveness,
    LLMResponse,
    Question,
    Readiness,
    SearchRequest,
    SearchResponse,
)
from utils.settings import Settings

_PROBLEM: dict[str, Any] = {"content": {MEDIA_TYPE: {}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    413: {"description": "The body is too large", **_PROBLEM},
    422: {"description": "The question is missing, blank or over-long", **_PROBLEM},
    503: {"description": "The index or the store is not available", **_PROBLEM},
}

router = APIRouter()


def _answerer(request: Request) -> Answerer:
    answerer: Answerer = request.app.state.answerer
    return answerer


def _check_length(request: Request, field: tuple[str, str], text: str) -> None:
    """Refuse a question over the limit, which is a setting."""
    settings: Settings = request.app.state.settings
    limit = settings.max_question_characters
    if len(text) > limit:
        message = f"has {len(text)} characters; {limit} are allowed"
        raise RequestValidationError([{"type": "too_long", "loc": field, "msg": message}])


AnswererOfApp = Annotated[Answerer, Depends(_answerer)]


@router.post("/inference_endpoint", tags=["answers"], responses=PROBLEMS)
async def inference_endpoint(
    request: Request,
    answerer: AnswererOfApp,
    message: Annotated[
        Question,
        Query(
            description="The question, in plain words.",
            openapi_examples={
                "kms": {"value": "How to check if an endpoint is KMS encrypted"},
            },
        ),
    ],
) -> LLMResponse:
    """Answer a question, and name the documents to read next."""
    _check_length(request, ("query", "message"), message)
    answer = await answerer.answer(message)
    return LLMResponse(answer=answer.text, docs=answer.docs)


@router.post("/v1/answers", tags=["answers"], responses=PROBLEMS)
async def answers(
    request: Request, answerer: AnswererOfApp, asked: AnswerRequest
) -> AnswerResponse:
    """Answer a question, with the passages it rests on and how it came about."""
    _check_length(request, ("body", "question"), asked.question)
    return AnswerResponse.of(await answerer.answer(asked.question, asked.top_k))


@router.post("/v1/search", tags=["answers"], responses=PROBLEMS)
async def search(request: Request, answerer: AnswererOfApp, asked: SearchRequest) -> SearchResponse:
    """Find the passages that answer a query best; no language model is asked."""
    _check_length(request, ("body", "query"), asked.query)
    return SearchResponse.of(asked.query, await answerer.search(asked.query, asked.top_k))


@router.get("/healthz", tags=["operation"])
async def healthz() -> Liveness:
    """Tell that the process runs."""
    return Liveness()


@router.get(
    "/readyz",
    tags=["operation"],
    responses={503: {"description": "Not ready; says why", "model": Readiness}},
)
async def readyz(request: Request, response: Response) -> Readiness:
    """Tell whether questions can be answered: store reached, index there, model fits."""
    state = readiness(request.app.state.retriever)
    response.status_code = 200 if state.ready else 503
    return state
