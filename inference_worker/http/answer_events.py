"""Encodes an answer's events as server-sent events, and those of POST /v1/answers."""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing

from fastapi import Request
from fastapi.sse import format_sse_event

from inference_worker.answer import Answer, Event, PassagesFound, Token
from inference_worker.http import examples
from inference_worker.http.problems import error_event_data
from inference_worker.http.schemas import AnswerResponse, FoundEvent, TokenEvent

STREAM_EXAMPLE = {
    "schema": {
        "description": "Events named `passages` (FoundEvent), `token` (TokenEvent), `answer` "
        "(AnswerResponse) and `error` (ProblemDocument); the data of each is JSON.",
    },
    "example": b"".join(
        (
            format_sse_event(event="passages", data_str=json.dumps(examples.FOUND)),
            format_sse_event(event="token", data_str=json.dumps({"text": examples.ANSWER})),
            format_sse_event(event="answer", data_str=json.dumps(examples.WHOLE)),
        )
    ).decode(),
}


async def encode_events(
    events: AsyncGenerator[Event, None],
    request: Request,
    encode: Callable[[Event], Iterable[bytes]],
    error_name: str | None = None,
) -> AsyncGenerator[bytes, None]:
    """Encode each event; `error_name` is the name of the event of an error.

    Raises:
        DocsQAError: before the first event; later, an error is the last event.
    """
    begun = False
    try:
        async with aclosing(events):
            async for event in events:
                for encoded in encode(event):
                    yield encoded
                    begun = True
    except Exception as error:
        if not begun:
            raise
        yield format_sse_event(event=error_name, data_str=error_event_data(request, error))


def encode_typed(event: Event) -> Iterator[bytes]:
    """Encode an event under its name."""
    match event:
        case PassagesFound():
            name, data = "passages", FoundEvent.of(event).model_dump_json()
        case Token():
            name, data = "token", TokenEvent(text=event.text).model_dump_json()
        case Answer():
            name, data = "answer", AnswerResponse.of(event).model_dump_json()
    yield format_sse_event(event=name, data_str=data)
