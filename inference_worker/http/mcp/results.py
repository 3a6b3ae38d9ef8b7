"""The result schemas of the tools at /mcp.

Clients truncate results at about 25,000 tokens. With these limits the largest result from the
Developer Guide has about 10,000, and twice as many if a client passes on both the structured
content and its copy as text.
"""

from dataclasses import asdict
from typing import Annotated

from pydantic import BaseModel, Field

from database.searching.passage import Findings, Passage
from dataset.chunks import Chunk, document_text
from inference_worker.answer import EXTRACTIVE, Answer, Citation, FinishReason
from inference_worker.grounding.active_content import without_active_content
from inference_worker.http.schemas import Confidence, CoverageOut, answer_fields, shallow_dict

SNIPPET_CHARACTERS = 1000
PART_CHARACTERS = 20_000

_Answerable = Annotated[
    bool,
    Field(
        description="Whether the documentation answers this, judged by the search. If it is "
        "false, say that the documentation does not seem to cover it."
    ),
]
Identifier = Annotated[
    str, Field(description="Pass this to `fetch` to read on from here, e.g. `page.md#3`.")
]
Url = Annotated[str, Field(description="The live page, for people to read; empty if unknown.")]


class Result(BaseModel):
    """The result of a tool."""

    def as_text(self) -> str:
        """The text for clients that do not read structured content."""
        return self.model_dump_json()


class SearchHit(BaseModel):
    """A passage that matches."""

    id: Identifier
    title: str = Field(description="The document's title.")
    url: Url
    text: str = Field(description="The passage's text, quoted; a long one is cut off with `…`.")
    headings: list[str] = Field(description="The headings above the passage, outermost first.")
    score: float = Field(description="How well it matches; comparable within one search only.")

    @classmethod
    def of(cls, passage: Passage) -> "SearchHit":
        """Convert a passage."""
        chunk = passage.chunk
        score = round(passage.score, 4)
        return cls(
            **shallow_dict(chunk) | {"id": _id(chunk), "text": _snippet(chunk.text), "score": score}
        )


class SearchResult(Result):
    """The result of `search`."""

    results: list[SearchHit] = Field(description="The passages that match, best first.")
    answerable: _Answerable
    confidence: Confidence

    @classmethod
    def of(cls, findings: Findings) -> "SearchResult":
        """Convert the result of a search."""
        return cls(
            results=[SearchHit.of(passage) for passage in findings.passages],
            answerable=findings.answerable,
            confidence=round(findings.confidence, 4),
        )


class DocumentPart(BaseModel):
    """The part of the document that is returned."""

    document: str = Field(description="The document's name.")
    headings: str = Field(description="Title and headings at the beginning of the part.")
    first: int = Field(description="Index of the part's first passage, from 0.")
    last: int = Field(description="Index of its last passage.")
    passages: int = Field(description="Number of passages in the document.")
    next: str | None = Field(description="The `id` to fetch next; null at the end of the document.")


class FetchResult(Result):
    """The result of `fetch`."""

    id: str = Field(description="The requested id.")
    title: str = Field(description="The document's title.")
    text: str = Field(description="The document's text, quoted as markdown.")
    url: Url
    metadata: DocumentPart

    @classmethod
    def of(cls, requested: str, chunks: list[Chunk], first: int) -> "FetchResult":
        """The document with these chunks: whole if it fits, else as much as fits from `first`."""
        if len(document_text(chunks)) <= PART_CHARACTERS:
            first = 0
        end = first + 1
        while end < len(chunks) and len(document_text(chunks[first : end + 1])) <= PART_CHARACTERS:
            end += 1
        return cls(
            id=requested,
            title=chunks[first].title,
            text=document_text(chunks[first:end]),
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
    """The passage that a marker `[n]` in the answer cites."""

    number: int = Field(description="The n of `[n]`.")
    id: Identifier
    document: str = Field(description="The document's name.")
    title: str = Field(description="The document's title.")
    url: Url
    quote: str = Field(description="The words of the passage that support the sentence.")

    @classmethod
    def of(cls, citation: Citation, passage: Passage) -> "CitedPassage":
        """Convert a citation."""
        return cls(**shallow_dict(passage.chunk) | asdict(citation) | {"id": _id(passage.chunk)})


class UnsupportedText(BaseModel):
    """A span of the answer that occurs in no passage."""

    kind: str = Field(description="identifier, number, arn, code, flag, quote, url or html.")
    text: str


class AskResult(Result):
    """The result of `ask`."""

    answer: str = Field(
        description="The answer; `[n]` in it refers to the citation with that number."
    )
    answerable: Annotated[
        bool,
        Field(
            description="Whether the documentation answers this. If it is false, say that the "
            "documentation does not seem to cover it."
        ),
    ]
    coverage: CoverageOut
    confidence: Confidence
    citations: list[CitedPassage]
    docs: list[str] = Field(description="Names of the documents to read, best first; for `fetch`.")
    generator: str = Field(
        description="The language model that wrote the answer, or `extractive` if the answer "
        "quotes the documentation instead."
    )
    degraded: bool = Field(description="Whether the language model failed.")
    degraded_reason: str | None
    finish_reason: FinishReason = Field(
        description="`stop`; `length` or `content_filter` if the answer was cut off."
    )
    unsupported: list[UnsupportedText] = Field(
        description="Names, numbers and code in the answer that occur in neither the passages nor "
        "the question: verify them before you rely on them."
    )

    @classmethod
    def of(cls, answer: Answer) -> "AskResult":
        """Convert an answer."""
        cited = {(each.number, each.quote): each for each in answer.grounding.citations}
        citations = [
            CitedPassage.of(each, answer.passages[each.number - 1]) for each in cited.values()
        ]
        return cls(**answer_fields(answer) | {"citations": citations})

    def as_text(self) -> str:
        """The answer as text, with its sources and warnings; what is quoted is text there, too."""
        parts = [self.answer if self.finish_reason == "stop" else f"{self.answer}…"]
        if self.citations and self.generator != EXTRACTIVE:
            sources = [
                f"[{each.number}] {_inactive(f'{each.title} ({each.id})')} {each.url}".rstrip()
                + f'\n    "{_inactive(each.quote)}"'
                for each in self.citations
            ]
            parts.append("\n".join(["Sources:", *sources]))
        if self.docs:
            parts.append(f"Documents to read: {', '.join(map(_inactive, self.docs))}")
        if doubtful := [each for each in self.unsupported if each.kind != "html"]:
            unsupported = ", ".join(f"`{each.text}`" for each in doubtful)
            parts.append(f"In none of the passages, so verify before relying on it: {unsupported}")
        return "\n\n".join(parts)


def _inactive(text: str) -> str:
    """A quoted text on one line, with its active content shown as text."""
    return without_active_content(" ".join(text.split()))


def _id(chunk: Chunk) -> str:
    return f"{chunk.document}#{chunk.ordinal}"


def _snippet(text: str) -> str:
    if len(text) <= SNIPPET_CHARACTERS:
        return text
    return text[: SNIPPET_CHARACTERS - 1].rsplit(maxsplit=1)[0] + "…"
