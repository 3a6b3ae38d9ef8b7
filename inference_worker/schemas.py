"""What goes over HTTP, as pydantic models; nothing else in the project is one."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field

from database.passages import Passage
from inference_worker.answering import Answer


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; ask a question")
    return text.strip()


Question = Annotated[str, AfterValidator(_not_blank)]
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
    score: float = Field(description="Cosine similarity with the question, -1 to 1.")
    dense_rank: int = Field(description="Place in the dense ranking, from 1.")

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
            text=chunk.text,
            score=round(passage.score, 4),
            dense_rank=passage.dense_rank,
        )


class AnswerResponse(BaseModel):
    """The whole answer."""

    answer: str
    docs: list[str] = Field(description="Document names, each once, best first.")
    generator: str = Field(description="The language model's name, or `extractive`.")
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None
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
            passages=[PassageOut.of(passage) for passage in answer.passages],
            timings=answer.timings,
        )


class SearchResponse(BaseModel):
    """The passages nearest to a query, best first."""

    query: str
    passages: list[PassageOut]


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
