"""What the tools at /mcp return, as pydantic models.

Clients cut a result off at about 25,000 tokens. With these limits the largest of the Developer
Guide takes about 10,000, and twice that where a client hands on both the structured content and
its copy as text.
"""

from typing import Annotated

from pydantic import BaseModel, Field

from database.searching.passage import Findings, Passage
from database.searching.passage_selection import text_of
from dataset.chunks import Chunk
from inference_worker.answer import Answer, Citation

SNIPPET_CHARACTERS = 1000
PART_CHARACTERS = 20_000

_Answerable = Annotated[
    bool,
    Field(
        description="Whether the documentation answers this, as far as the search can tell. Where "
        "it is false, say that the documentation does not seem to cover it."
    ),
]
_Confidence = Annotated[
    float, Field(ge=0, le=1, description="Probability that the documentation answers this.")
]
Identifier = Annotated[
    str, Field(description="What `fetch` takes to read on from here, e.g. `page.md#3`.")
]
Url = Annotated[
    str, Field(description="Where a person reads it on the web; empty where it is not known.")
]


class Result(BaseModel):
    """What a tool returns."""

    def as_text(self) -> str:
        """The copy for clients that read text only."""
        return self.model_dump_json()


class SearchHit(BaseModel):
    """A passage that was found."""

    id: Identifier
    title: str = Field(description="The document's title.")
    url: Url
    text: str = Field(description="The passage, quoted; a long one is cut off with `…`.")
    headings: list[str] = Field(description="The headings above the passage, outermost first.")
    score: float = Field(description="How well it fits; comparable within one search only.")

    @classmethod
    def of(cls, passage: Passage) -> "SearchHit":
        """Show a passage."""
        chunk = passage.chunk
        return cls(
            id=_id(chunk),
            title=chunk.title,
            url=chunk.url,
            text=_snippet(chunk.text),
            headings=list(chunk.headings),
            score=round(passage.score, 4),
        )


class SearchResult(Result):
    """What `search` returns."""

    results: list[SearchHit] = Field(description="The passages that fit, best first.")
    answerable: _Answerable
    confidence: _Confidence

    @classmethod
    def of(cls, findings: Findings) -> "SearchResult":
        """Show what a search found."""
        return cls(
            results=[SearchHit.of(passage) for passage in findings.passages],
            answerable=findings.answerable,
            confidence=round(findings.confidence, 4),
        )


class DocumentPart(BaseModel):
    """Which part of a document this is."""

    document: str = Field(description="The document's name.")
    headings: str = Field(description="Where the part begins: title and headings.")
    first: int = Field(description="The part's first passage, counted from 0.")
    last: int = Field(description="Its last passage.")
    passages: int = Field(description="How many passages the document has.")
    next: str | None = Field(
        description="The `id` to fetch for what follows; null where the document ends here."
    )


class FetchResult(Result):
    """What `fetch` returns."""

    id: str = Field(description="The id that was asked for.")
    title: str = Field(description="The document's title.")
    text: str = Field(description="The text, quoted from the documentation as markdown.")
    url: Url
    metadata: DocumentPart

    @classmethod
    def of(cls, asked: str, chunks: list[Chunk], first: int) -> "FetchResult":
        """Show a document: whole where it fits, else as much as fits from a passage on.

        Args:
            asked: The id that was asked for.
            chunks: All of the document, in order.
            first: Which of them to begin with.
        """
        if len(text_of(chunks)) <= PART_CHARACTERS:
            first = 0
        end = first + 1
        while end < len(chunks) and len(text_of(chunks[first : end + 1])) <= PART_CHARACTERS:
            end += 1
        return cls(
            id=asked,
            title=chunks[first].title,
            text=text_of(chunks[first:end]),
            url=chunks[first].url,
            metadata=DocumentPart(
                document=chunks[first].document,
                headings=chunks[first].breadcrumb,
                first=first,
                last=end - 1,
                passages=len(chunks),
                next=_id(chunks[end]) if end < len(chunks) else None,
            ),
        )


class CitedPassage(BaseModel):
    """What a marker `[n]` in the answer stands for."""

    number: int = Field(description="The n of `[n]`.")
    id: Identifier
    document: str = Field(description="The document's name.")
    title: str = Field(description="The document's title.")
    url: Url
    quote: str = Field(description="The passage's own words that the sentence rests on.")

    @classmethod
    def of(cls, citation: Citation, passage: Passage) -> "CitedPassage":
        """Show a citation."""
        chunk = passage.chunk
        return cls(
            number=citation.number,
            id=_id(chunk),
            document=chunk.document,
            title=chunk.title,
            url=chunk.url,
            quote=citation.quote,
        )


class UnsupportedText(BaseModel):
    """Something in the answer that stands in no passage."""

    kind: str = Field(description="identifier, number, arn, code, flag, quote or url.")
    text: str


class AskResult(Result):
    """What `ask` returns."""

    answer: str = Field(description="The answer; `[n]` in it leads to the citation of that number.")
    answerable: _Answerable
    confidence: _Confidence
    citations: list[CitedPassage]
    docs: list[str] = Field(description="Names of the documents to read, best first; for `fetch`.")
    generator: str = Field(
        description="The language model that wrote the answer, or `extractive` where sentences of "
        "the documentation are quoted instead."
    )
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None
    truncated: bool = Field(description="Whether the answer was cut at its longest length.")
    unsupported: list[UnsupportedText] = Field(
        description="Names, numbers and code in the answer that stand in none of the passages: "
        "check them before you rely on them."
    )

    @classmethod
    def of(cls, answer: Answer) -> "AskResult":
        """Show an answer."""
        grounding = answer.grounding
        cited = {(each.number, each.quote): each for each in grounding.citations}
        return cls(
            answer=answer.text,
            answerable=answer.answerable,
            confidence=round(answer.confidence, 4),
            citations=[
                CitedPassage.of(each, answer.passages[each.number - 1]) for each in cited.values()
            ],
            docs=answer.docs,
            generator=answer.generator,
            degraded=answer.degraded,
            degraded_reason=answer.degraded_reason,
            truncated=answer.truncated,
            unsupported=[
                UnsupportedText(kind=each.kind, text=each.text) for each in grounding.unsupported
            ],
        )

    def as_text(self) -> str:
        """The answer as a person would read it, with its sources and what to beware of."""
        parts = [f"{self.answer}…" if self.truncated else self.answer]
        if self.citations:
            sources = [
                f"[{each.number}] {each.title} ({each.id}) {each.url}".rstrip()
                + f'\n    "{each.quote}"'
                for each in self.citations
            ]
            parts.append("\n".join(["Sources:", *sources]))
        if self.docs:
            parts.append(f"Documents to read: {', '.join(self.docs)}")
        if self.degraded:
            parts.append(
                f"The language model did not write this ({self.degraded_reason}): it quotes the "
                "documentation."
            )
        if self.unsupported:
            doubtful = ", ".join(f"`{each.text}`" for each in self.unsupported)
            parts.append(f"In none of the passages, so check before relying on it: {doubtful}")
        return "\n\n".join(parts)


def _id(chunk: Chunk) -> str:
    return f"{chunk.document}#{chunk.ordinal}"


def _snippet(text: str) -> str:
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    return text[: SNIPPET_CHARACTERS - 1].rsplit(maxsplit=1)[0] + "…"
