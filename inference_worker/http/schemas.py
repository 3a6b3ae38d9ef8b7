"""What goes over HTTP, as pydantic models; nothing else in the project is one."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from database.searching.filters import EVERYTHING, Filters
from database.searching.passage import Findings, Passage
from inference_worker.answer import Answer, Citation, UnsupportedKind
from inference_worker.http import examples
from inference_worker.http.filters import FiltersIn

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""JSON can carry it; it is no text, and no tokenizer reads it."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; ask a question")
    if LONE_SURROGATE.search(text):
        raise ValueError("holds half a character (a lone surrogate); send valid Unicode")
    return text.strip()


QuestionText = Annotated[str, AfterValidator(_not_blank)]
Answerable = Annotated[
    bool, Field(description="Whether the documentation answers it, as far as the search can tell.")
]
Confidence = Annotated[
    float, Field(ge=0, le=1, description="Probability that the documentation answers it.")
]
TopK = Annotated[int, Field(ge=1, le=100, description="How many passages to use.")]


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class LLMResponse(BaseModel):
    """An answer and the documents to read next."""

    model_config = _example(examples.ORIGINAL)

    answer: str
    docs: list[str] = Field(description="Document names, each once, best first.")


class _Filtered(BaseModel):
    """What is asked of some documents only, or of all."""

    filters: FiltersIn | None = Field(
        default=None, description="Which documents are searched; all of them unless told."
    )

    @property
    def meant(self) -> Filters:
        """Which documents are searched."""
        return self.filters.to_filters() if self.filters else EVERYTHING


class AnswerRequest(_Filtered):
    """A question."""

    question: QuestionText = Field(examples=[examples.QUESTION])
    top_k: TopK | None = None
    stream: bool = Field(
        default=False,
        description="Whether the answer comes as server-sent events: `passages` first, `token` for "
        "each piece of text, `answer` last; `error` with a problem document where none can be had.",
    )


class SearchRequest(_Filtered):
    """A search."""

    query: QuestionText = Field(examples=["KmsKeyId of an endpoint configuration"])
    top_k: TopK = 8


class PassageOut(BaseModel):
    """A passage of the documentation."""

    model_config = _example(examples.PASSAGE)

    document: str
    title: str
    headings: list[str]
    anchor: str
    url: str
    text: str
    score: float = Field(description="How well it fits; comparable within one answer only.")
    dense_rank: int | None = Field(
        description="Place in the ranking by meaning, from 1; null where it is not in it."
    )
    lexical_rank: int | None = Field(
        description="Place in the ranking by words, from 1; null where it is not in it."
    )

    @classmethod
    def of(cls, passage: Passage) -> Self:
        """Show a passage."""
        chunk = passage.chunk
        return cls(
            document=chunk.document,
            title=chunk.title,
            headings=list(chunk.headings),
            anchor=chunk.anchor,
            url=chunk.url,
            text=passage.text,
            score=round(passage.score, 4),
            dense_rank=passage.dense_rank,
            lexical_rank=passage.lexical_rank,
        )


class CitationOut(BaseModel):
    """A marker `[n]` in the answer, and where it leads."""

    number: int = Field(description="The passage's number, from 1.")
    start: int = Field(description="Where the marker begins in the answer, in code points.")
    end: int
    document: str
    title: str
    headings: list[str]
    quote: str = Field(description="The passage's own words nearest to the sentence that cites it.")
    url: str = Field(description="Where it is read live, at its heading where that is known.")


class UnsupportedOut(BaseModel):
    """Something checkable in the answer that stands in no passage: do not rely on it."""

    kind: UnsupportedKind
    text: str
    start: int
    end: int


class MisplacedOut(BaseModel):
    """A citation whose passage lacks what its sentence says, while others have it."""

    number: int
    start: int
    end: int
    found_in: list[int] = Field(description="Numbers of the passages that have it.")


class UsageOut(BaseModel):
    """Tokens in the provider's own figures."""

    input_tokens: int
    output_tokens: int


class SourceOut(BaseModel):
    """Where a part of the documentation is from."""

    name: str
    documents: int
    url: str
    as_of: str = Field(description="Date or version that it is as of; empty if unknown.")


class CorpusOut(BaseModel):
    """What was searched, and as of when."""

    revision: int
    built_at: str
    documents: int
    sources: list[SourceOut]


class AnswerResponse(BaseModel):
    """The whole answer."""

    model_config = _example(examples.WHOLE)

    answer: str
    docs: list[str] = Field(
        description="Document names, each once: those the answer uses first, then other close ones."
    )
    citations: list[CitationOut] = Field(description="In the order of the text.")
    unsupported: list[UnsupportedOut] = Field(
        description="Identifiers, numbers, ARNs, code, flags, addresses and quotations that stand "
        "in no passage."
    )
    misplaced: list[MisplacedOut]
    removed_citations: int = Field(description="Citations that pointed nowhere and were removed.")
    uncited_sentences: int = Field(description="Sentences that claim something and cite nothing.")
    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None = Field(default=None, description="Why, in a few words.")
    answerable: Answerable
    confidence: Confidence
    truncated: bool = Field(description="Whether the answer was cut at its longest length.")
    cached: bool = Field(description="Whether the text is from an earlier, equal question.")
    usage: UsageOut | None = Field(
        description="Null where no language model wrote it now, or its provider gave no figures."
    )
    corpus: CorpusOut | None
    passages: list[PassageOut] = Field(description="`[n]` in the answer means the n-th of these.")
    timings: dict[str, float] = Field(description="Milliseconds by stage.")

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Show an answer."""
        grounding = answer.grounding
        return cls(
            answer=answer.text,
            docs=answer.docs,
            citations=[_citation(each, answer.passages) for each in grounding.citations],
            unsupported=[UnsupportedOut(**asdict(each)) for each in grounding.unsupported],
            misplaced=[MisplacedOut(**asdict(each)) for each in grounding.misplaced],
            removed_citations=grounding.removed_citations,
            uncited_sentences=grounding.uncited_sentences,
            generator=answer.generator,
            degraded=answer.degraded,
            degraded_reason=answer.degraded_reason,
            answerable=answer.answerable,
            confidence=round(answer.confidence, 4),
            truncated=answer.truncated,
            cached=answer.cached,
            usage=UsageOut(**asdict(answer.usage)) if answer.usage else None,
            corpus=CorpusOut(**asdict(answer.corpus)) if answer.corpus else None,
            passages=[PassageOut.of(passage) for passage in answer.passages],
            timings=answer.timings,
        )


def _citation(citation: Citation, passages: Sequence[Passage]) -> CitationOut:
    chunk = passages[citation.number - 1].chunk
    return CitationOut(
        number=citation.number,
        start=citation.start,
        end=citation.end,
        document=chunk.document,
        title=chunk.title,
        headings=list(chunk.headings),
        quote=citation.quote,
        url=chunk.url,
    )


class FoundEvent(BaseModel):
    """The `passages` event: what was found, before the first word is written."""

    model_config = _example(examples.FOUND)

    answerable: Answerable
    confidence: Confidence
    passages: list[PassageOut]

    @classmethod
    def of(cls, findings: Findings) -> Self:
        """Show what a search found."""
        return cls(
            answerable=findings.answerable,
            confidence=round(findings.confidence, 4),
            passages=[PassageOut.of(passage) for passage in findings.passages],
        )


class TokenEvent(BaseModel):
    """The `token` event: a piece of the answer's text."""

    text: str


class SearchResponse(BaseModel):
    """The passages that answer a query best, best first."""

    model_config = _example(examples.SEARCH)

    query: str
    answerable: Answerable
    confidence: Confidence
    passages: list[PassageOut]

    @classmethod
    def of(cls, query: str, findings: Findings) -> Self:
        """Show what a search found."""
        return cls(
            query=query,
            answerable=findings.answerable,
            confidence=round(findings.confidence, 4),
            passages=[PassageOut.of(passage) for passage in findings.passages],
        )


class Liveness(BaseModel):
    """The process runs."""

    model_config = _example(examples.LIVENESS)

    status: Literal["alive"] = "alive"


class ReadinessCheck(BaseModel):
    """One thing the service needs."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether questions can be answered, and what is missing if not."""

    model_config = _example(examples.READINESS)

    ready: bool
    checks: dict[Literal["store", "index", "model"], ReadinessCheck]
    index: dict[str, str | int] | None = Field(description="The live index's fingerprint.")


class ProblemDocument(BaseModel):
    """An error, after RFC 9457."""

    type: str = Field(description="Stable name of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What to do.")
    instance: str
    request_id: str = Field(description="As in X-Request-ID; the log knows it.")
