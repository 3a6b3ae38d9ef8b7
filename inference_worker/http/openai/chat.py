"""The OpenAI-compatible routes: any OpenAI client can use the service as a model."""

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from inference_worker.answer import Turn
from inference_worker.http.answer_events import encode_events
from inference_worker.http.event_stream import EventStream, while_connected
from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.openai.content import NEAREST, SOURCES
from inference_worker.http.openai.examples import MODEL
from inference_worker.http.openai.request import ChatRequest, Message
from inference_worker.http.openai.schemas import ChatCompletion, Model, ModelList
from inference_worker.http.openai.stream import Completion
from inference_worker.http.openai_errors import ErrorResponse
from inference_worker.http.problems import MODEL_NOT_FOUND, ProblemError
from inference_worker.http.routes import NOT_MODIFIED, AppAnswerer, check_length, from_app
from utils.settings import Settings

MAX_TURNS = 12
"""How many of the last messages before the question are used."""
MAX_CHARACTERS = 2000
"""How much of each of them is used."""
_OPENAI_NAMES = re.compile(r"(?:chat)?gpt-[\w.:-]+|o\d[\w.:-]*")
"""OpenAI's own models, whose names some clients have hard-coded; any other name is a mistake."""
_MARKER = re.compile(r" ?\[\d{1,3}\]")


def _error(description: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"example": example}}
    return {"description": description, "model": ErrorResponse, "content": content}


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": _error(
        "400: the request is not valid; 403: a web page of another origin sent it; 404: there is "
        "no such model; 413: the body is too large; 421: the host name is not allowed",
        chat_examples.INVALID,
    ),
    503: _error("The index or the store is not available", chat_examples.UNAVAILABLE),
}
STREAMED = {
    "schema": {"description": "Events, the data of each a chunk (JSON); the last is `[DONE]`."},
    "example": chat_examples.STREAM,
}

AppSettings = Annotated[Settings, from_app("settings")]

router = APIRouter(prefix="/v1", tags=["openai"])


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses=ERRORS
    | {
        200: {
            "description": "The answer, or with `stream` its chunks (`chat.completion.chunk`)",
            "content": {EventStream.media_type: STREAMED},
        }
    },
)
async def chat_completions(
    request: Request, answerer: AppAnswerer, settings: AppSettings, body: ChatRequest
) -> ChatCompletion | EventStream:
    """Answer the last user message from the documentation.

    The user and assistant messages before it are the conversation that it may continue: the last
    12, and of each the first 2,000 characters. System and developer messages, tools and sampling
    parameters are accepted but have no effect: the service answers from the documentation alone,
    by its own instructions.

    The content ends with links to the cited passages, which are also in `annotations`.
    """
    served = settings.model_alias
    requested = served if body.model is None else body.model
    if requested != served and not _OPENAI_NAMES.fullmatch(requested):
        raise _no_such_model(requested, served)
    question, history = split_conversation(body.messages)
    check_length(request, ("body", "messages"), question)
    completion = Completion(
        f"chatcmpl-{request.scope.get('request_id', '')}",
        served,
        int(time.time()),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
    )
    if body.stream:
        events = answerer.events(question, history=history)
        chunks = encode_events(events, request, completion.encode)
        return await EventStream.from_first_event(request, chunks)
    answer = await while_connected(request, answerer.answer(question, history=history))
    return completion.whole(answer)


@router.get("/models", responses=ERRORS | NOT_MODIFIED)
async def models(settings: AppSettings) -> ModelList:
    """List the models."""
    served = settings.model_alias
    return ModelList(data=[Model(id=served, created=0, owned_by=served)])


@router.get("/models/{name:path}", responses=ERRORS | NOT_MODIFIED)
async def model(settings: AppSettings, name: Annotated[str, Path(examples=[MODEL])]) -> Model:
    """Read one model."""
    if name != settings.model_alias:
        raise _no_such_model(name, settings.model_alias)
    return Model(id=name, created=0, owned_by=name)


def split_conversation(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
    """Split off the question, which is the last user message, from the messages before it."""
    last = max(at for at, message in enumerate(messages) if message.role == "user")
    turns = [
        Turn("user", message.content)
        if message.role == "user"
        else Turn("assistant", _without_citations(message.content))
        for message in messages[:last]
        if message.role in {"user", "assistant"} and message.content.strip()
    ]
    kept = [Turn(turn.role, turn.text[:MAX_CHARACTERS]) for turn in turns[-MAX_TURNS:]]
    return messages[last].content.strip(), kept


def _without_citations(text: str) -> str:
    """Remove an earlier answer's links and markers, whose numbers now refer to other passages."""
    for links in (SOURCES, NEAREST):
        text = text.partition(links)[0]
    return _MARKER.sub("", text)


def _no_such_model(name: str, served: str) -> ProblemError:
    detail = f"There is no model {name[:100]!r}; use {served!r}."
    return ProblemError(MODEL_NOT_FOUND, detail, param="model")
