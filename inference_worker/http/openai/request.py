"""What OpenAI's clients ask with; fields that mean nothing here are ignored."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    WithJsonSchema,
    field_validator,
)

from inference_worker.http.openai import examples as chat_examples
from inference_worker.http.openai.examples import MODEL
from inference_worker.http.schemas import LONE_SURROGATE

MAX_MESSAGES = 2000


def _joined(content: object) -> object:
    """The text of a message whose content may come in parts, or be left out."""
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
                raise ValueError(f"has a part of type {kind[:40]!r}; only text can be read")
            case _:
                raise ValueError('has a part that is not {"type": "text", "text": "..."}')
    return "\n".join(texts)


def _whole_characters(text: str) -> str:
    """Replace halves of characters: a client that cuts a text in UTF-16 leaves such."""
    return LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


_PART = {"type": "object", "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}
_CONTENT = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": _PART}, {"type": "null"}],
    "description": "A text, or parts of type `text`.",
}
Content = Annotated[
    str, BeforeValidator(_joined), AfterValidator(_whole_characters), WithJsonSchema(_CONTENT)
]


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = ""


class StreamOptions(BaseModel):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A conversation; its last user message is the question."""

    model_config = ConfigDict(json_schema_extra={"examples": [chat_examples.REQUEST]})

    # The first wrong one is told: there may be as many as a body holds.
    messages: Annotated[list[Message], FailFast(), Field(min_length=1, max_length=MAX_MESSAGES)]
    model: str = MODEL
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, description="Only 1: one answer is written.")
    tool_choice: Any = Field(default=None, description="Not one that demands a call of a tool.")
    response_format: Any = Field(default=None, description="Only text.")

    @field_validator("messages")
    @classmethod
    def _must_ask(cls, messages: list[Message]) -> list[Message]:
        asked = [message.content for message in messages if message.role == "user"]
        if not asked:
            raise ValueError("has no message of the role user; ask a question")
        if not asked[-1].strip():
            raise ValueError("ends with a blank question; ask one")
        return messages

    @field_validator("n")
    @classmethod
    def _must_be_one(cls, n: int | None) -> int | None:
        if n not in {None, 1}:
            raise ValueError("is not 1; one answer is written")
        return n

    @field_validator("tool_choice")
    @classmethod
    def _must_not_demand(cls, choice: object) -> object:
        if choice not in (None, "none", "auto"):
            raise ValueError("demands a call of a tool; this service calls none")
        return choice

    @field_validator("response_format")
    @classmethod
    def _must_be_text(cls, wanted: object) -> object:
        if wanted is not None and wanted != {"type": "text"}:
            raise ValueError("is not text; this service writes nothing else")
        return wanted
