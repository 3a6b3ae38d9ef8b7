"""Encodes an answer as a chat completion, and its events as the chunks of a streamed one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi.sse import format_sse_event

from inference_worker.answer import Answer, Event, FinishReason, PassagesFound, Token
from inference_worker.http.openai.content import annotations, closing_notes, restart_notice
from inference_worker.http.openai.schemas import (
    About,
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    MessageOut,
    Usage,
)

DONE = format_sse_event(data_str="[DONE]")


@dataclass(slots=True)
class Completion:
    """A completion, sent whole or in chunks; the fields that all chunks share."""

    id: str
    model: str
    created: int
    include_usage: bool
    _begun: bool = False
    _streamed: str = ""
    _pending: str = ""
    """Streamed only if text follows, as the answer has no trailing white space."""

    def whole(self, answer: Answer) -> ChatCompletion:
        """The unstreamed completion."""
        content = answer.text + closing_notes(answer)
        message = MessageOut(content=content, annotations=annotations(answer))
        return ChatCompletion(
            id=self.id,
            created=self.created,
            model=self.model,
            system_fingerprint=_fingerprint(answer),
            choices=[Choice(message=message, finish_reason=answer.finish_reason)],
            usage=Usage.of(answer),
            sagemaker_docs=About.of(answer),
        )

    def encode(self, event: Event) -> Iterator[bytes]:
        """Encode an event as chunks."""
        match event:
            case PassagesFound():
                if not self._begun:
                    yield self._chunk(Delta(role="assistant", content=""))
                self._begun = True
            case Token():
                self._pending += event.text
                piece = self._pending.rstrip()
                self._pending = self._pending[len(piece) :]
                self._streamed += piece
                if piece:
                    yield self._chunk(Delta(content=piece))
            case Answer():
                yield from self._closing(event)

    def _closing(self, answer: Answer) -> Iterator[bytes]:
        """The chunks after the streamed text: the rest of the content, annotations, the end."""
        streamed = self._streamed
        anew = restart_notice(answer, streamed)
        rest = anew + answer.text if anew else answer.text[len(streamed) :]
        if rest := rest + closing_notes(answer):
            yield self._chunk(Delta(content=rest))
        if marks := annotations(answer, offset=len(streamed + anew) if anew else 0):
            yield self._chunk(Delta(annotations=marks))
        yield self._chunk(
            Delta(),
            finish_reason=answer.finish_reason,
            system_fingerprint=_fingerprint(answer),
            sagemaker_docs=About.of(answer),
        )
        if self.include_usage:
            yield self._chunk(None, usage=Usage.of(answer))
        yield DONE

    def _chunk(
        self, delta: Delta | None, finish_reason: FinishReason | None = None, **more: Any
    ) -> bytes:
        """Encode a chunk; without a delta, one without choices."""
        if self.include_usage:
            more.setdefault("usage", None)  # like OpenAI: null in all but the last
        choices = []
        if delta is not None:
            choices = [
                ChunkChoice(index=0, delta=delta, logprobs=None, finish_reason=finish_reason)
            ]
        written = ChatCompletionChunk(
            id=self.id,
            object="chat.completion.chunk",
            created=self.created,
            model=self.model,
            choices=choices,
            **more,
        )
        return format_sse_event(data_str=written.model_dump_json(exclude_unset=True))


def _fingerprint(answer: Answer) -> str | None:
    """Identify the index, on which the answer depends."""
    return f"index-{answer.corpus.revision}" if answer.corpus else None
