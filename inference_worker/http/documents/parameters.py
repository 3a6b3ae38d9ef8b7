"""The parameters of the routes that read or change documents."""

from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import AfterValidator

from dataset.conversion.converter import FORMATS
from dataset.documents import normal_name
from inference_worker.http.request_filters import MOMENT_FORMATS

_OUTSIDE = r"/\\\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd"
"""Characters that no part of a name may contain."""
_FIRST = rf"[^.\s{_OUTSIDE}]"
_FOLDER = rf"{_FIRST}(?:[^{_OUTSIDE}]*[^\s{_OUTSIDE}])?/"
_EXTENSIONS = "|".join(
    "".join(f"[{letter}{letter.upper()}]" for letter in extension[1:]) for extension in FORMATS
)
_NAME = rf"^(?:{_FOLDER})*{_FIRST}[^{_OUTSIDE}]*\.(?:{_EXTENSIONS})$"
"""What `check_name` accepts, up to the length in bytes."""


def _unless_empty(*schemas: dict[str, str]) -> dict[str, Any]:
    return {"anyOf": [{"maxLength": 0}, *schemas]}


AnyForm = AfterValidator(normal_name)
"""A name may be sent in any Unicode form."""
DocumentName = Annotated[
    str,
    AnyForm,
    Path(description="The document's name: a path like `guides/page.md`.", max_length=500),
]
NewName = Annotated[
    str,
    AnyForm,
    Path(
        description="The document's name: a path like `guides/page.md`; its extension determines "
        "the format.",
        max_length=500,
        json_schema_extra={"pattern": _NAME},
    ),
]
UploadTitle = Annotated[str, Query(max_length=500)]
UploadUrl = Annotated[
    str,
    Query(
        description="The live page.",
        max_length=2000,
        json_schema_extra=_unless_empty({"format": "iri", "pattern": "^https?://"}),
    ),
]
UploadDate = Annotated[
    str,
    Query(
        description="Date or time of its last change (ISO 8601).",
        max_length=40,
        json_schema_extra=_unless_empty(*MOMENT_FORMATS),
    ),
]
IfMatch = Annotated[
    str, Header(description="Change it only if its ETag is this one; `*`: only if it exists.")
]
IfNoneMatch = Annotated[str, Header(description="`*`: only if it does not exist.")]
