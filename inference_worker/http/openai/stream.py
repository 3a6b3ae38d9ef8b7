"""Encodes an answer's events as the chunks of a streamed chat completion."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.sse import format_sse_event

from inference_worker.answer import Answer, Event, PassagesFound, Token
from inference_worker.http.openai.content import annotations, closing_notes, restart_notice
from inference_worker.http.openai.schemas import (
    About,
    ChatCompletionChunk,
    ChunkChoice,
    Delta,
    FinishReason,
    Usage,
)
from inference_worker.http.problems import error_event_data

DONE = format_sse_event(data_str="[DONE]")


@dataclass(frozen=True, slots=True)
class Completion:
    """The fields that all chunks of a completion share."""

    id: str
    created: int
    model: str
    include_usage: bool

    def chunk(self, delta: Delta | None, **more: Any) -> bytes:
        """Encode a chunk; without a delta, one without choices."""
        finish: FinishReason | None = more.pop("finish_reason", None)
        if self.include_usage:
            more.setdefault("usage", None)  # like OpenAI: null in all but the last
        written = ChatCompletionChunk(
            id=self.id,
            object="chat.completion.chunk",
            created=self.created,
            model=self.model,
            choices=[]
            if delta is None
            else [ChunkChoice(index=0, delta=delta, logprobs=None, finish_reason=finish)],
            **more,
        )
        return format_sse_event(data_str=written.model_dump_json(exclude_unset=True))


async def encode_chunks(
    completion: Completion, events: AsyncGenerator[Event, None], request: Request
) -> AsyncGenerator[bytes, None]:
    """Encode events.

    Raises:
        DocsQAError: before the first event; later, an error object ends the stream.
    """
    begun = False
    streamed, pending = "", ""
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case PassagesFound():
                        yield completion.chunk(Delta(role="assistant", content=""))
                        begun = True
                    case Token():
                        # Held back, as the answer has no trailing white space.
                        pending += event.text
                        piece = pending.rstrip()
                        pending = pending[len(piece) :]
                        streamed += piece
                        if piece:
                            yield completion.chunk(Delta(content=piece))
                    case Answer():
                        for chunk in _closing(completion, event, streamed):
                            yield chunk
    except Exception as error:
        if not begun:
            raise
        yield format_sse_event(data_str=error_event_data(request, error))


def _closing(completion: Completion, answer: Answer, streamed: str) -> Iterator[bytes]:
    """The chunks after the streamed text: the rest of the content, annotations, finish reason."""
    anew = restart_notice(answer, streamed)
    rest = anew + answer.text if anew else answer.text[len(streamed) :]
    if rest := rest + closing_notes(answer):
        yield completion.chunk(Delta(content=rest))
    if marks := annotations(answer, offset=len(streamed + anew) if anew else 0):
        yield completion.chunk(Delta(annotations=marks))
    yield completion.chunk(
        Delta(),
        finish_reason=finish_reason(answer),
        system_fingerprint=fingerprint(answer),
        sagemaker_docs=About.of(answer),
    )
    if completion.include_usage:
        yield completion.chunk(None, usage=Usage.of(answer))
    yield DONE


def finish_reason(answer: Answer) -> FinishReason:
    """OpenAI's finish reason of an answer."""
    return "length" if answer.truncated else "stop"


def fingerprint(answer: Answer) -> str | None:
    """Identify the index, on which the answer depends."""
    return f"index-{answer.corpus.revision}" if answer.corpus else None
