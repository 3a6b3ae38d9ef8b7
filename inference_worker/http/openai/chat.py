"""OpenAI's API: the service as a model that any of its clients can ask."""

import re
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from inference_worker.answer import Answer, Turn
from inference_worker.http.event_stream import EventStream, while_connected
from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.openai.content import NEAREST, SOURCES, annotations, closing_notes
from inference_worker.http.openai.examples import MODEL
from inference_worker.http.openai.request import ChatRequest, Message
from inference_worker.http.openai.schemas import (
    About,
    ChatCompletion,
    Choice,
    MessageOut,
    Model,
    ModelList,
    Usage,
)
from inference_worker.http.openai.stream import (
    Completion,
    encode_chunks,
    fingerprint,
    finish_reason,
)
from inference_worker.http.openai_errors import ErrorResponse
from inference_worker.http.problems import MODEL_NOT_FOUND, problem_response
from inference_worker.http.routes import AnswererOfApp, check_length

MAX_TURNS = 12
"""How many of the messages before the question are looked at, from the last."""
MAX_CHARACTERS = 2000
"""Of each of them."""
_BY_HABIT = re.compile(r"(?:chat)?gpt-[\w.:-]+|o\d[\w.:-]*")
"""OpenAI's own names: what clients have built in, some of them for good."""
_MARKER = re.compile(r" ?\[\d{1,3}\]")


def _error(description: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"example": example}}
    return {"description": description, "model": ErrorResponse, "content": content}


ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": _error(
        "400: the request is not valid; 404: there is no such model; 413: the body is too large",
        chat_examples.INVALID,
    ),
    503: _error("The index or the store is not available", chat_examples.UNAVAILABLE),
}
STREAMED = {"schema": {"type": "string"}, "example": chat_examples.STREAM}

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
    request: Request, answerer: AnswererOfApp, asked: ChatRequest
) -> ChatCompletion | EventStream | JSONResponse:
    """Answer the last user message from the documentation.

    The user and assistant messages before it are the conversation that it may lean on: the last 12,
    of each the first 2,000 characters. System and developer messages, tools and sampling parameters
    are accepted and have no effect: the service answers from the documentation alone, and its own
    instructions decide how.

    Links to the passages cited stand at the end of the content and in `annotations`.
    """
    if not is_served_model(asked.model):
        return _no_such_model(request, asked.model)
    question, history = split_conversation(asked.messages)
    check_length(request, ("body", "messages"), question)
    id_, created = f"chatcmpl-{request.scope.get('request_id', '')}", int(time.time())
    if asked.stream:
        include_usage = bool(asked.stream_options and asked.stream_options.include_usage)
        completion = Completion(id_, created, MODEL, include_usage)
        events = answerer.events(question, history=history)
        chunks = encode_chunks(completion, events, request)
        return await EventStream.from_first_event(request, chunks)
    answer = await while_connected(request, answerer.answer(question, history=history))
    return _whole(id_, created, answer)


@router.get("/models", responses=ERRORS)
async def models() -> ModelList:
    """List what may be asked for."""
    return ModelList(data=[_model()])


@router.get("/models/{name:path}", response_model=Model, responses=ERRORS)
async def model(
    request: Request, name: Annotated[str, Path(examples=[MODEL])]
) -> Model | JSONResponse:
    """Tell of one model."""
    return _model() if name == MODEL else _no_such_model(request, name)


def is_served_model(name: str) -> bool:
    """Tell whether a model may be asked for by this name: ours, or OpenAI's for habit's sake.

    A client may have one of OpenAI's built in. Any other is a mistake, and said to be one.
    """
    return name == MODEL or _BY_HABIT.fullmatch(name) is not None


def split_conversation(messages: Sequence[Message]) -> tuple[str, list[Turn]]:
    """Tell the question, which is the last user message, from what was said before it."""
    place = max(at for at, message in enumerate(messages) if message.role == "user")
    turns = [
        Turn("user", message.content)
        if message.role == "user"
        else Turn("assistant", _without_citations(message.content))
        for message in messages[:place]
        if message.role in {"user", "assistant"} and message.content.strip()
    ]
    kept = [Turn(turn.role, turn.text[:MAX_CHARACTERS]) for turn in turns[-MAX_TURNS:]]
    return messages[place].content.strip(), kept


def _without_citations(text: str) -> str:
    """Take from an earlier answer its links and numbers: the numbers mean other passages now."""
    for links in (SOURCES, NEAREST):
        text = text.partition(links)[0]
    return _MARKER.sub("", text)


def _whole(id_: str, created: int, answer: Answer) -> ChatCompletion:
    content = answer.text + closing_notes(answer)
    message = MessageOut(content=content, annotations=annotations(answer))
    return ChatCompletion(
        id=id_,
        created=created,
        model=MODEL,
        system_fingerprint=fingerprint(answer),
        choices=[Choice(message=message, finish_reason=finish_reason(answer))],
        usage=Usage.of(answer),
        sagemaker_docs=About.of(answer),
    )


def _model() -> Model:
    return Model(id=MODEL, created=0)


def _no_such_model(request: Request, name: str) -> JSONResponse:
    detail = f"There is no model {name[:100]!r} here; ask for {MODEL!r}."
    return problem_response(request, MODEL_NOT_FOUND, detail, param="model")
