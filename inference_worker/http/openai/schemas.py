"""OpenAI's chat completions and models as they go out over HTTP."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from inference_worker.answer import Answer
from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.openai.examples import MODEL
from inference_worker.http.schemas import Answerable, Confidence, MisplacedOut, UnsupportedOut


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class UrlCitation(BaseModel):
    """Where a marker leads."""

    start_index: int = Field(description="Where the marker begins in the content, in code points.")
    end_index: int = Field(description="The first code point behind it.")
    title: str
    url: str


class Annotation(BaseModel):
    """A marker `[n]` in the content."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class Usage(BaseModel):
    """Tokens in the provider's figures; zeros where no language model wrote."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Show what an answer took."""
        took = answer.usage
        given, written = (took.input_tokens, took.output_tokens) if took else (0, 0)
        return cls(prompt_tokens=given, completion_tokens=written, total_tokens=given + written)


class About(BaseModel):
    """How the answer came about; this service's own field, which other clients pass over."""

    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None = None
    answerable: Answerable
    confidence: Confidence
    truncated: bool
    cached: bool
    docs: list[str] = Field(description="Documents to read next, best first.")
    unsupported: list[UnsupportedOut] = Field(
        description="What is in no passage; places count from where the answer begins."
    )
    misplaced: list[MisplacedOut]
    removed_citations: int
    uncited_sentences: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Show how an answer came about."""
        grounding = answer.grounding
        return cls(
            generator=answer.generator,
            degraded=answer.degraded,
            degraded_reason=answer.degraded_reason,
            answerable=answer.answerable,
            confidence=round(answer.confidence, 4),
            truncated=answer.truncated,
            cached=answer.cached,
            docs=answer.docs,
            unsupported=[UnsupportedOut(**asdict(each)) for each in grounding.unsupported],
            misplaced=[MisplacedOut(**asdict(each)) for each in grounding.misplaced],
            removed_citations=grounding.removed_citations,
            uncited_sentences=grounding.uncited_sentences,
        )


FinishReason = Literal["stop", "length"]


class MessageOut(BaseModel):
    """The answer."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    annotations: Sequence[Annotation]


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: MessageOut
    logprobs: None = None
    finish_reason: FinishReason = Field(description="`length` where the answer was cut.")


class ChatCompletion(BaseModel):
    """An answer."""

    model_config = _example(chat_examples.COMPLETION)

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str | None = Field(default=None, description="The index that was asked.")
    choices: list[Choice]
    usage: Usage
    sagemaker_docs: About


class Delta(BaseModel):
    """What a chunk adds."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    annotations: Sequence[Annotation] | None = None


class ChunkChoice(BaseModel):
    """A piece of the one answer."""

    index: Literal[0] = 0
    delta: Delta
    logprobs: None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(BaseModel):
    """A piece of an answer; fields that are not set are not sent."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str | None = None
    choices: list[ChunkChoice]
    usage: Usage | None = None
    sagemaker_docs: About | None = None


class Model(BaseModel):
    """What may be asked for."""

    model_config = _example(chat_examples.ONE_MODEL)

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = MODEL


class ModelList(BaseModel):
    """All that may be asked for."""

    model_config = _example(chat_examples.MODELS)

    object: Literal["list"] = "list"
    data: list[Model]
