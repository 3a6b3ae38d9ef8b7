"""Request and response schemas of the routes in routes.py."""

import re
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
)

from database.searching.filters import EVERYTHING, Filters
from database.searching.passage import Findings, Passage
from inference_worker.answer import (
    Answer,
    Citation,
    Coverage,
    FinishReason,
    PassagesFound,
    UnsupportedKind,
)
from inference_worker.http import examples
from inference_worker.http.request_filters import FiltersIn

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""JSON can contain one; it is not valid Unicode, and tokenizers reject it."""


QUESTION_SCHEMA = {"type": "string", "minLength": 1, "pattern": r"[^\s\u001c-\u001f\u0085]"}
"""The pattern requires a character that `str.strip` keeps, in every dialect of JSON Schema."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; ask a question")
    if LONE_SURROGATE.search(text):
        raise ValueError("contains a lone surrogate (half a character); send valid Unicode")
    return text.strip()


def _not_coerced(value: object) -> object:
    """Refuse what pydantic converts to an integer, but OpenAPI does not count as one."""
    if isinstance(value, bool | str):
        raise ValueError("must be an integer")  # noqa: TRY004 - pydantic reports a ValueError
    return value


QuestionText = Annotated[str, AfterValidator(_not_blank), WithJsonSchema(QUESTION_SCHEMA)]
NOT_COERCED = BeforeValidator(_not_coerced)
Answerable = Annotated[
    bool,
    Field(
        description="Whether the documentation answers it: not if `coverage` is `none`; if it is "
        "null, judged by the search, and true if a language model's answer has citations."
    ),
]
FoundAnswerable = Annotated[
    bool, Field(description="Whether the documentation answers it, judged by the search.")
]
CoverageOut = Annotated[
    Coverage | None,
    Field(
        description="How far the passages answer, as the language model reports; null if none "
        "wrote the answer, or it did not report it."
    ),
]
Confidence = Annotated[
    float, Field(ge=0, le=1, description="Probability that the documentation answers it.")
]
TopK = Annotated[
    int, Field(ge=1, le=100, description="How many passages to search for."), NOT_COERCED
]


def with_example(example: dict[str, Any]) -> ConfigDict:
    """A model configuration that shows an example in OpenAPI."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class LLMResponse(BaseModel):
    """An answer and the documents to read next."""

    model_config = with_example(examples.ORIGINAL)

    answer: str
    docs: list[str] = Field(description="Document names, each once, best first.")


class _Filtered(BaseModel):
    """A request that can be restricted to some of the documents."""

    model_config = ConfigDict(extra="forbid")  # a misspelt field would have no effect

    filters: FiltersIn | None = Field(
        default=None, description="Which documents to search; all by default."
    )

    @property
    def search_filters(self) -> Filters:
        """The filters as the search takes them."""
        return self.filters.to_filters() if self.filters else EVERYTHING


class AnswerRequest(_Filtered):
    """A question."""

    question: QuestionText = Field(examples=[examples.QUESTION])
    top_k: TopK | None = Field(
        default=None,
        description="How many passages to answer from. By default 8; a language model is given as "
        "many as fit its prompt, and those that its further searches find.",
    )
    stream: StrictBool = Field(
        default=False,
        description="Send the answer as server-sent events: `passages` first (again after a "
        "further search), `token` for each piece of text, `answer` last; or `error` with a "
        "problem document.",
    )


class SearchRequest(_Filtered):
    """A search."""

    query: QuestionText = Field(examples=["KmsKeyId of an endpoint configuration"])
    top_k: TopK = 8


class PassageOut(BaseModel):
    """A passage of the documentation."""

    model_config = with_example(examples.PASSAGE)

    document: str
    title: str
    headings: list[str]
    anchor: str
    url: str
    text: str
    score: float = Field(description="How well it matches; comparable within one search only.")
    dense_rank: int | None = Field(
        description="Rank in the dense search, from 1; null if it was not found there."
    )
    lexical_rank: int | None = Field(
        description="Rank in the BM25 search, from 1; null if it was not found there."
    )

    @classmethod
    def of(cls, passage: Passage) -> Self:
        """Convert a passage, whose text replaces that of its chunk."""
        score = round(passage.score, 4)
        return cls(**shallow_dict(passage.chunk) | shallow_dict(passage) | {"score": score})


class CitationOut(BaseModel):
    """A marker `[n]` in the answer, and the passage it cites."""

    number: int = Field(description="The passage's number, from 1.")
    start: int = Field(description="Index of the marker in the answer, in code points.")
    end: int
    document: str
    title: str
    headings: list[str]
    quote: str = Field(description="The words of the passage nearest to the citing sentence.")
    url: str = Field(description="The live page, at the passage's heading if that is known.")


class UnsupportedOut(BaseModel):
    """A checkable span of the answer in neither passages nor question: do not rely on it.

    Also HTML, and addresses that occur in no passage: the answer shows them, but as text.
    """

    kind: UnsupportedKind
    text: str
    start: int
    end: int


class MisplacedOut(BaseModel):
    """A citation whose passage does not support its sentence, while others do."""

    number: int
    start: int
    end: int
    found_in: list[int] = Field(description="Numbers of the passages that support it.")


class SearchOut(BaseModel):
    """A query that was searched for."""

    query: str
    by: Literal["user", "model"] = Field(
        description="The user's question, with those it continues; or the language model, which "
        "searches again if the first passages do not answer."
    )


class UsageOut(BaseModel):
    """Tokens used, as the provider counts them."""

    input_tokens: int
    output_tokens: int


Searches = Annotated[list[SearchOut], Field(description="What was searched for, in order.")]


class SourceOut(BaseModel):
    """The origin of a part of the documentation."""

    name: str
    documents: int
    url: str
    as_of: str = Field(description="Its date or version; empty if unknown.")


class CorpusOut(BaseModel):
    """The index that was searched."""

    revision: int
    built_at: str
    documents: int
    sources: list[SourceOut]


class AnswerResponse(BaseModel):
    """An answer, with its passages and the result of checking it against them."""

    model_config = with_example(examples.WHOLE)

    answer: str
    docs: list[str] = Field(
        description="Document names, each once: those that the answer uses, then other close ones."
    )
    citations: list[CitationOut] = Field(description="In the order of the text.")
    unsupported: list[UnsupportedOut] = Field(
        description="Identifiers, numbers, ARNs, code, flags, URLs and quotations that occur in "
        "neither the passages nor the question."
    )
    misplaced: list[MisplacedOut]
    removed_citations: int = Field(description="Citations removed, as they cited no passage.")
    uncited_sentences: int = Field(description="Sentences that make a claim and cite nothing.")
    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None = Field(default=None, description="Why it failed.")
    answerable: Answerable
    coverage: CoverageOut
    confidence: Confidence
    searches: Searches
    finish_reason: FinishReason = Field(
        description="`stop`; `length` if the answer was cut off at its token limit; or "
        "`content_filter` if the language model's provider cut it off."
    )
    truncated: bool = Field(description="Whether the answer was cut off at its token limit.")
    cached: bool = Field(description="Whether the text was written for an earlier, equal question.")
    usage: UsageOut | None = Field(
        description="Null if no language model was called, or its provider reports no usage."
    )
    corpus: CorpusOut | None
    passages: list[PassageOut] = Field(description="`[n]` in the answer cites the n-th of these.")
    timings: dict[str, float] = Field(description="Milliseconds by stage.")

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Convert an answer."""
        cited = {
            "citations": [_citation(each, answer.passages) for each in answer.grounding.citations],
            "passages": [PassageOut.of(passage) for passage in answer.passages],
        }
        return cls(**answer_fields(answer) | cited)


def answer_fields(answer: Answer) -> dict[str, Any]:
    """The values of the fields of all kinds of answers; a schema ignores those it lacks."""
    changed = {
        "answer": answer.text,
        "degraded": answer.degraded,
        "truncated": answer.truncated,
        "confidence": round(answer.confidence, 4),
    }
    without_passages = replace(answer, passages=[])  # there may be many, and asdict copies them
    return asdict(without_passages) | asdict(answer.grounding) | changed


def shallow_dict(instance: Any) -> dict[str, Any]:
    """The fields of a dataclass by name, without copies of their values."""
    return {field.name: getattr(instance, field.name) for field in fields(instance)}


def _citation(citation: Citation, passages: Sequence[Passage]) -> CitationOut:
    return CitationOut(**shallow_dict(passages[citation.number - 1].chunk) | asdict(citation))


def found_fields(findings: Findings) -> dict[str, Any]:
    """The values of the fields that a search results in."""
    return {
        "answerable": findings.answerable,
        "confidence": round(findings.confidence, 4),
        "passages": [PassageOut.of(passage) for passage in findings.passages],
    }


class FoundEvent(BaseModel):
    """The `passages` event: all passages found so far, before they are used.

    It is sent again if they change: the language model searches again, or the answer is quoted.
    `[n]` in the text refers to the last of these events.
    """

    model_config = with_example(examples.FOUND)

    answerable: FoundAnswerable
    confidence: Confidence
    searches: Searches
    passages: list[PassageOut]

    @classmethod
    def of(cls, found: PassagesFound) -> Self:
        """Convert the event."""
        searches = [asdict(search) for search in found.searches]
        return cls(searches=searches, **found_fields(found.findings))


class TokenEvent(BaseModel):
    """The `token` event: the next piece of the answer's text."""

    text: str


class SearchResponse(BaseModel):
    """The passages that answer a query best, best first."""

    model_config = with_example(examples.SEARCH)

    query: str
    answerable: FoundAnswerable
    confidence: Confidence
    passages: list[PassageOut]

    @classmethod
    def of(cls, query: str, findings: Findings) -> Self:
        """Convert the result of a search."""
        return cls(query=query, **found_fields(findings))


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Stable identifier of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="How to fix it.")
    instance: str
    request_id: str = Field(description="The value of X-Request-ID, as in the log.")
