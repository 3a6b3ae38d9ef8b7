"""The request schema of chat completions; unsupported fields are ignored."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StrictBool,
    WithJsonSchema,
    field_validator,
)

from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.schemas import LONE_SURROGATE, NOT_COERCED, QUESTION_SCHEMA

MAX_MESSAGES = 2000


def _join_parts(content: object) -> object:
    """Join the text parts of a message's content."""
    if not isinstance(content, list):
        return "" if content is None else content
    texts = []
    for part in content:
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "refusal"}:
                pass
            case {"type": str(kind)} if kind != "text":
                raise ValueError(f"has a part of type {kind[:40]!r}; only text is supported")
            case _:
                raise ValueError('has a part that is not {"type": "text", "text": "..."}')
    return "\n".join(texts)


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which clients produce that truncate text in UTF-16."""
    return LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def _only(*supported: object, error: str) -> AfterValidator:
    """Reject every other value but null."""

    def check(value: object) -> object:
        if value is not None and value not in supported:
            raise ValueError(error)
        return value

    return AfterValidator(check)


_PARTS = [
    {"properties": {"type": {"const": "text"}, "text": {"type": "string"}}, "required": ["text"]},
    {"properties": {"type": {"const": "refusal"}}},
]
_PART = {"type": "object", "required": ["type"], "anyOf": _PARTS}
_CONTENT = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": _PART}, {"type": "null"}],
    "description": "A string, or parts of type `text`.",
}
_QUESTION = {"anyOf": [QUESTION_SCHEMA, {"type": "array", "minItems": 1}]}
_FROM_USER = {
    "properties": {"role": {"const": "user"}, "content": _QUESTION},
    "required": ["role", "content"],
}
Content = Annotated[
    str, BeforeValidator(_join_parts), AfterValidator(_replace_surrogates), WithJsonSchema(_CONTENT)
]


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = ""


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: StrictBool | None = None


class ChatRequest(BaseModel):
    """A conversation; its last user message is the question."""

    model_config = ConfigDict(json_schema_extra={"examples": [chat_examples.REQUEST]})

    # Fails at the first invalid one, as there may be thousands.
    messages: Annotated[
        list[Message],
        FailFast(),
        Field(min_length=1, max_length=MAX_MESSAGES, json_schema_extra={"contains": _FROM_USER}),
    ]
    model: str | None = Field(default=None, description="A name that `/v1/models` lists; optional.")
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[
        int | None, NOT_COERCED, _only(1, error="is not 1; only one answer is supported")
    ] = Field(
        default=None, description="Only 1 is supported.", json_schema_extra={"enum": [1, None]}
    )
    tool_choice: Annotated[
        Any, _only("none", "auto", error="requires a tool call; this service calls no tools")
    ] = Field(
        default=None,
        description="Any that does not require a tool call.",
        json_schema_extra={"enum": ["none", "auto", None]},
    )
    response_format: Annotated[
        Any, _only({"type": "text"}, error="is not text; only text is supported")
    ] = Field(
        default=None,
        description="Only text is supported.",
        json_schema_extra={"enum": [{"type": "text"}, None]},
    )

    @field_validator("messages")
    @classmethod
    def _check_question(cls, messages: list[Message]) -> list[Message]:
        questions = [message.content for message in messages if message.role == "user"]
        if not questions:
            raise ValueError("has no message with the role user; ask a question")
        if not questions[-1].strip():
            raise ValueError("ends with a blank question; ask one")
        return messages
