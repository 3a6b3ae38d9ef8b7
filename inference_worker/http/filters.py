"""Filters as a request carries them."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from database.searching.filters import Filters
from dataset.conversion.converter import FORMATS
from dataset.dates import parse_instant
from inference_worker.http import examples

_FORMATS = sorted(set(FORMATS.values()))


def _format(text: str) -> str:
    if text not in _FORMATS:
        raise ValueError(f"is no format of a document; there are {', '.join(_FORMATS)}")
    return text


def _moment(text: str) -> str:
    try:
        parse_instant(text)
    except ValueError:
        raise ValueError(
            "is no date or time (ISO 8601); write 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from None
    return text


NamePattern = Annotated[str, Field(min_length=1, max_length=500)]
Format = Annotated[str, AfterValidator(_format)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]


class FiltersIn(BaseModel):
    """Which documents are searched: those that are all that is said here."""

    model_config = ConfigDict(
        extra="forbid",  # a misspelt one would silently search everything
        json_schema_extra={"examples": [examples.FILTERS]},
    )

    documents: list[NamePattern] | None = Field(
        default=None,
        min_length=1,
        max_length=20,
        description="Their names, of which one is enough. `*` stands for any characters, `/` too, "
        "and `?` for one: `api-reference/*`, `*.pdf`.",
    )
    url: str | None = Field(
        default=None, min_length=1, max_length=2000, description="How their address begins."
    )
    title: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="What their title holds; capitals do not count.",
    )
    formats: list[Format] | None = Field(
        default=None,
        min_length=1,
        max_length=len(_FORMATS),
        description=f"What they were written in: {', '.join(_FORMATS)}.",
    )
    changed_since: Moment | None = Field(
        default=None,
        description="When they were last changed at the earliest: a date or a time (ISO 8601), in "
        "UTC unless it says otherwise. Documents that do not say when are left out.",
    )
    changed_before: Moment | None = Field(
        default=None, description="Before when they were last changed; likewise."
    )

    def to_filters(self) -> Filters:
        """As a search takes them."""
        return Filters(
            documents=tuple(self.documents or ()),
            url=self.url or "",
            title=self.title or "",
            formats=tuple(self.formats or ()),
            changed_since=self.changed_since or "",
            changed_before=self.changed_before or "",
        )
