"""The request schema of the filters."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from database.searching.filters import Filters
from dataset.conversion.converter import FORMATS
from dataset.dates import parse_instant
from inference_worker.http import examples

_FORMATS = sorted(set(FORMATS.values()))


def _format(text: str) -> str:
    if text not in _FORMATS:
        raise ValueError(f"is not a document format; the formats are {', '.join(_FORMATS)}")
    return text


def _moment(text: str) -> str:
    try:
        parse_instant(text)
    except ValueError:
        raise ValueError(
            "is not a date or time (ISO 8601); write 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from None
    return text


MOMENT_FORMATS = [{"format": "date"}, {"format": "date-time"}]
NamePattern = Annotated[str, Field(min_length=1, max_length=500)]
Format = Annotated[
    str, AfterValidator(_format), WithJsonSchema({"type": "string", "enum": _FORMATS})
]
Moment = Annotated[
    str,
    Field(max_length=40),
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "maxLength": 40, "anyOf": MOMENT_FORMATS}),
]


class FiltersIn(BaseModel):
    """Restricts the search to the documents that match all of these."""

    model_config = ConfigDict(
        extra="forbid",  # a misspelt filter would silently search everything
        json_schema_extra={"examples": [examples.FILTERS]},
    )

    documents: list[NamePattern] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Names, any of which must match. `*` matches any characters including `/`, `?` "
        "matches one: `api-reference/*`, `*.pdf`.",
    )
    url: str | None = Field(
        default=None, min_length=1, max_length=2000, description="The beginning of their URL."
    )
    title: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="A part of their title, in upper or lower case.",
    )
    formats: list[Format] | None = Field(
        default=None,
        min_length=1,
        max_length=len(_FORMATS),
        description=f"The formats they were written in: {', '.join(_FORMATS)}.",
    )
    changed_since: Moment | None = Field(
        default=None,
        description="Earliest last change: a date or time (ISO 8601), in UTC by default. Documents "
        "without a date of change do not match.",
    )
    changed_before: Moment | None = Field(
        default=None, description="Exclusive latest last change; likewise."
    )

    def to_filters(self) -> Filters:
        """Convert to the filters of the search."""
        given = {name: value for name, value in self if value is not None}
        lists = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
        return Filters(**given | lists)
