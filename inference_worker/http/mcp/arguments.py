"""What the tools at /mcp take, as pydantic models, and how a wrong call is told."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from inference_worker.http.schemas import LONE_SURROGATE

MAX_RESULTS = 20
"""Of passages in one result: see mcp_results for what a client reads."""

_PLACE = re.compile(r"(?P<name>.+?)(?:#(?P<ordinal>[0-9]{1,9}))?", re.DOTALL)


def _asked(text: str, info: ValidationInfo) -> str:
    text = text.strip()
    most: int = (info.context or {})["most_characters"]
    if not text:
        raise ValueError("is blank; say in plain words what to look for")
    if len(text) > most:
        raise ValueError(f"has {len(text):,} characters, at most {most:,} are read; shorten it")
    if LONE_SURROGATE.search(text):
        raise ValueError("is not valid Unicode text; write it without the broken character")
    return text


QueryText = Annotated[str, AfterValidator(_asked)]


class Arguments(BaseModel):
    """A tool's arguments; what is not among them is refused, so that a misspelling is noticed."""

    model_config = ConfigDict(extra="forbid")


class SearchArguments(Arguments):
    """What `search` takes."""

    query: QueryText = Field(
        description="A question in plain words, or names as the documentation writes them: "
        "operations, fields, instance types, permissions. One subject in a query finds more than "
        "several.",
        examples=[
            "How is the storage volume of an endpoint encrypted?",
            "CreateEndpointConfig KmsKeyId",
        ],
        json_schema_extra={"minLength": 1},
    )
    top_k: int = Field(
        default=8,
        ge=1,
        le=MAX_RESULTS,
        description="How many passages to return, best first. 8 suits most questions; take more to "
        "survey a subject.",
        examples=[8],
    )


class FetchArguments(Arguments):
    """What `fetch` takes."""

    id: str = Field(
        description="A result's `id` from `search`, a citation's `id` or a name in `docs` from "
        "`ask`, or `metadata.next` from the last `fetch`. A name alone is the document from its "
        "beginning; `name#n` is the document from passage n on, counted from 0.",
        examples=["realtime-endpoints.md", "realtime-endpoints.md#12"],
        min_length=1,
        max_length=500,
    )

    @property
    def place(self) -> tuple[str, int]:
        """The document's name, and the passage to begin with."""
        found = _PLACE.fullmatch(self.id.strip())
        return (found["name"], int(found["ordinal"] or 0)) if found else ("", 0)


class AskArguments(Arguments):
    """What `ask` takes."""

    question: QueryText = Field(
        description="One complete question in plain words. It is answered by itself: name what "
        "earlier messages were about instead of writing `it`.",
        examples=["How do I check whether a SageMaker endpoint is encrypted with KMS?"],
        json_schema_extra={"minLength": 1},
    )


def input_schema(arguments: type[Arguments], most_characters: int) -> dict[str, Any]:
    """The JSON schema of a tool's arguments; how long a question may be is a setting."""
    schema = arguments.model_json_schema()
    for field in schema["properties"].values():
        if "minLength" in field:
            field.setdefault("maxLength", most_characters)
    return schema


def describe_errors(error: ValidationError, arguments: type[Arguments]) -> str:
    """Say which arguments are wrong and what they should be; nothing that was sent is repeated."""
    known = list(arguments.model_fields)
    told = []
    for wrong in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(wrong["loc"][0]) if wrong["loc"] else "arguments"
        if name in known:
            told.append(f"{name}: {wrong['msg'].removeprefix('Value error, ')}.")
    if len(told) < error.error_count():
        told.append("There are arguments that this tool does not take.")
    return " ".join([*told, f"It takes {' and '.join(known)}; correct them and call it again."])
