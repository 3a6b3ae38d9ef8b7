"""What goes over HTTP, as pydantic models; nothing else in the project is one."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from database.passages import Findings, Passage
from inference_worker.answering import Answer


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; ask a question")
    return text.strip()


Question = Annotated[str, AfterValidator(_not_blank)]
Answerable = Annotated[
    bool, Field(description="Whether the documentation answers it, as far as the search can tell.")
]
Confidence = Annotated[
    float, Field(ge=0, le=1, description="Probability that the documentation answers it.")
]
TopK = Annotated[int, Field(ge=1, le=100, description="How many passages to use.")]


class LLMResponse(BaseModel):
    """An answer and the documents to read next."""

    answer: str
    docs: list[str] = Field(description="Document names, each once, best first.")


class AnswerRequest(BaseModel):
    """A question."""

    question: Question = Field(examples=["How to check if an endpoint is KMS encrypted"])
    top_k: TopK | None = None
    stream: Literal[False] = Field(
        default=False, description="Only false for now: the answer comes whole."
    )


class SearchRequest(BaseModel):
    """A search."""

    query: Question = Field(examples=["KmsKeyId of an endpoint configuration"])
    top_k: TopK = 8


class PassageOut(BaseModel):
    """A passage of the documentation."""

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


class AnswerResponse(BaseModel):
    """The whole answer."""

    answer: str
    docs: list[str] = Field(description="Document names, each once, best first.")
    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None
    answerable: Answerable
    confidence: Confidence
    passages: list[PassageOut] = Field(description="`[n]` in the answer means the n-th of these.")
    timings: dict[str, float] = Field(description="Milliseconds by stage.")

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Show an answer."""
        return cls(
            answer=answer.text,
            docs=answer.docs,
            generator=answer.generator,
            degraded=answer.degraded,
            degraded_reason=answer.degraded_reason,
            answerable=answer.answerable,
            confidence=round(answer.confidence, 4),
            passages=[PassageOut.of(passage) for passage in answer.passages],
            timings=answer.timings,
        )


class SearchResponse(BaseModel):
    """The passages that answer a query best, best first."""

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

    status: Literal["alive"] = "alive"


class ReadinessCheck(BaseModel):
    """One thing the service needs."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether questions can be answered, and what is missing if not."""

    ready: bool
    checks: dict[Literal["store", "index", "model"], ReadinessCheck]
    index: dict[str, str | int] | None = Field(description="The live index's fingerprint.")
