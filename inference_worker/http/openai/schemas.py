"""Response schemas of OpenAI's chat completions and models."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field

from inference_worker.answer import Answer, FinishReason, TokenUsage
from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.schemas import (
    Answerable,
    Confidence,
    CoverageOut,
    MisplacedOut,
    Searches,
    UnsupportedOut,
    answer_fields,
    with_example,
)


class UrlCitation(BaseModel):
    """The page that a marker cites."""

    start_index: int = Field(description="Index of the marker in the content, in code points.")
    end_index: int = Field(description="Index of the first code point after it.")
    title: str
    url: str


class Annotation(BaseModel):
    """A marker `[n]` in the content."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class Usage(BaseModel):
    """Tokens used, as the provider counts them; zeros if no language model was called."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Convert an answer's usage."""
        usage = answer.usage or TokenUsage(0, 0)
        return cls(
            prompt_tokens=usage.input_tokens,
            completion_tokens=usage.output_tokens,
            total_tokens=usage.input_tokens + usage.output_tokens,
        )


class About(BaseModel):
    """How the answer was written; a field of this service only, which other clients ignore."""

    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None = None
    answerable: Answerable
    coverage: CoverageOut
    confidence: Confidence
    searches: Searches
    truncated: bool
    cached: bool
    docs: list[str] = Field(description="Documents to read next, best first.")
    unsupported: list[UnsupportedOut] = Field(
        description="Spans that occur in no passage; indices are relative to the answer's start."
    )
    misplaced: list[MisplacedOut]
    removed_citations: int
    uncited_sentences: int

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Convert an answer."""
        return cls(**answer_fields(answer))


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
    finish_reason: FinishReason = Field(
        description="`length` or `content_filter` if the answer was cut off."
    )


class ChatCompletion(BaseModel):
    """An answer."""

    model_config = with_example(chat_examples.COMPLETION)

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    system_fingerprint: str | None = Field(default=None, description="The revision of the index.")
    choices: list[Choice]
    usage: Usage
    sagemaker_docs: About


class Delta(BaseModel):
    """What a chunk adds to the message."""

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
    """A piece of an answer; unset fields are omitted."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    system_fingerprint: str | None = None
    choices: list[ChunkChoice]
    usage: Usage | None = None
    sagemaker_docs: About | None = None


class Model(BaseModel):
    """A model that requests can name."""

    model_config = with_example(chat_examples.ONE_MODEL)

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str


class ModelList(BaseModel):
    """The models that requests can name."""

    model_config = with_example(chat_examples.MODELS)

    object: Literal["list"] = "list"
    data: list[Model]
