"""The argument schemas of the tools at /mcp, and error texts for invalid arguments."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo

from inference_worker.http.schemas import LONE_SURROGATE

MAX_RESULTS = 20
"""Passages in one result; see results.py for what clients read."""

_ID = re.compile(r"(?P<name>.+?)(?:#(?P<ordinal>[0-9]{1,9}))?", re.DOTALL)


def _check_query(text: str, info: ValidationInfo) -> str:
    text = text.strip()
    limit: int = (info.context or {})["max_characters"]
    if not text:
        raise ValueError("is blank; describe in plain words what to search for")
    if len(text) > limit:
        raise ValueError(f"has {len(text):,} characters; at most {limit:,} are allowed; shorten it")
    if LONE_SURROGATE.search(text):
        raise ValueError("is not valid Unicode text; write it without the broken character")
    return text


QueryText = Annotated[str, AfterValidator(_check_query)]


class Arguments(BaseModel):
    """A tool's arguments; unknown ones are rejected, so that misspellings are noticed."""

    model_config = ConfigDict(extra="forbid")


class SearchArguments(Arguments):
    """Arguments of `search`."""

    query: QueryText = Field(
        description="A question in plain words, or names as the documentation writes them: "
        "operations, fields, limits, permissions. A query about one subject finds more "
        "than one about several.",
        examples=[
            "How is stored data encrypted?",
            "CreateUser permissions",
        ],
        json_schema_extra={"minLength": 1},
    )
    top_k: int = Field(
        default=8,
        ge=1,
        le=MAX_RESULTS,
        description="How many passages to return, best first. 8 suits most questions; request more "
        "to survey a subject.",
        examples=[8],
    )


class FetchArguments(Arguments):
    """Arguments of `fetch`."""

    id: str = Field(
        description="A result's `id` from `search`, a citation's `id` or a name in `docs` from "
        "`ask`, or `metadata.next` from the last `fetch`. A name alone returns the document from "
        "its beginning; `name#n` returns it from passage n on, counted from 0.",
        examples=["getting-started.md", "getting-started.md#12"],
        min_length=1,
        max_length=500,
    )

    @property
    def position(self) -> tuple[str, int]:
        """The document's name, and the first passage to return."""
        found = _ID.fullmatch(self.id.strip())
        return (found["name"], int(found["ordinal"] or 0)) if found else ("", 0)


class AskArguments(Arguments):
    """Arguments of `ask`."""

    question: QueryText = Field(
        description="One self-contained question in plain words: name the subject of earlier "
        "messages instead of writing `it`.",
        examples=["How do I check whether stored data is encrypted?"],
        json_schema_extra={"minLength": 1},
    )


def input_schema(arguments: type[Arguments], max_characters: int) -> dict[str, Any]:
    """The JSON schema of a tool's arguments; the maximum length of a question is a setting."""
    schema = arguments.model_json_schema()
    for field in schema["properties"].values():
        if "minLength" in field:
            field.setdefault("maxLength", max_characters)
    return schema


def describe_errors(error: ValidationError, arguments: type[Arguments]) -> str:
    """Describe the invalid arguments without repeating their values."""
    known = list(arguments.model_fields)
    errors = []
    for wrong in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(wrong["loc"][0]) if wrong["loc"] else "arguments"
        if name in known:
            errors.append(f"{name}: {wrong['msg'].removeprefix('Value error, ')}.")
    if len(errors) < error.error_count():
        errors.append("Some arguments are unknown to this tool.")
    return " ".join(
        [*errors, f"It takes {' and '.join(known)}; fix the arguments and call it again."]
    )
