"""The data of the answer flow: its events, and the answer that ends them."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal

from database.searching.passage import Findings, Passage
from dataset.sources.provenance import Source

EXTRACTIVE = "extractive"
"""The `generator` of an answer that quotes the passages and that no language model wrote."""

Coverage = Literal["full", "partial", "none"]
"""How far the passages answer a question, as the language model reports it."""

FinishReason = Literal["stop", "length", "content_filter"]
"""Why the text ended: complete, cut off at the token limit, or by the provider's content filter."""

UnsupportedKind = Literal["identifier", "number", "arn", "code", "flag", "quote", "url", "html"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A query that was searched for."""

    query: str
    by: Literal["user", "model"]
    """The user's question, or a query that the language model requested."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker `[n]` in an answer's text."""

    number: int
    """The passage's number, from 1."""
    start: int
    """Index of the marker in the answer's text, in code points."""
    end: int
    quote: str
    """The words of the passage that are nearest to the sentence that cites it."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A checkable span of an answer that occurs in no passage."""

    kind: UnsupportedKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MisplacedCitation:
    """A citation whose passage does not support its sentence, while another passage does."""

    number: int
    """The passage that was cited."""
    start: int
    """Index of the marker in the answer's text."""
    end: int
    found_in: tuple[int, ...]
    """The numbers of the passages that support the sentence."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """The result of checking an answer against its passages."""

    citations: Sequence[Citation] = ()
    """In the order of the text."""
    used: Sequence[int] = ()
    """Numbers of the passages that support the answer, most used first."""
    removed_citations: int = 0
    """Citations of passages that do not exist, removed from the text."""
    misplaced: Sequence[MisplacedCitation] = ()
    unsupported: Sequence[Unsupported] = ()
    uncited_sentences: int = 0
    """Sentences that make a claim and cite nothing."""

    @property
    def doubtful(self) -> list[Unsupported]:
        """What is not to be relied on; HTML is only shown as text."""
        return [each for each in self.unsupported if each.kind != "html"]

    @property
    def passage_numbers(self) -> set[int]:
        """The numbers of all passages that the checks refer to."""
        found_in = (number for each in self.misplaced for number in each.found_in)
        return {*(each.number for each in self.citations), *found_in}


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that an answer cost, as its provider counts them."""

    input_tokens: int
    output_tokens: int

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        """The usage of two calls."""
        return TokenUsage(
            self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens
        )


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """The index that was searched."""

    revision: int
    built_at: str
    """UTC, ISO 8601."""
    documents: int
    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question."""

    text: str
    docs: list[str]
    """Names of the documents to read, unique: those that the answer uses, then other close ones."""
    passages: list[Passage]
    """The passages that the answer was written from; `[n]` in the text is the n-th of them."""
    grounding: Grounding
    generator: str
    """The language model's name, or "extractive"."""
    degraded_reason: str | None
    """Why the language model failed; None if it did not."""
    answerable: bool
    """Whether the documentation answers the question, as the model reports, else the search."""
    confidence: float
    """Probability that it does, 0 to 1."""
    usage: TokenUsage | None
    """Of all calls; None if there was none, or the provider reports no usage."""
    finish_reason: FinishReason
    """Why the text ended."""
    coverage: Coverage | None
    """None if no language model wrote the text, or it did not report it."""
    searches: Sequence[SearchQuery]
    """What was searched for, in order."""
    has_failed_search: bool
    """Whether a search that the language model requested failed."""
    cached: bool
    """Whether the text was written for an earlier, equal question, and cost no tokens now."""
    corpus: CorpusInfo | None
    """None if the index became unavailable meanwhile."""
    timings: dict[str, float]
    """Milliseconds by stage."""

    @property
    def is_quoted(self) -> bool:
        """Whether the text quotes the passages, each with its title and link."""
        return self.generator == EXTRACTIVE

    @property
    def truncated(self) -> bool:
        """Whether the text was cut off at the token limit of an answer."""
        return self.finish_reason == "length"

    @property
    def degraded(self) -> bool:
        """Whether the language model failed and the passages are quoted instead."""
        return self.degraded_reason is not None


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The result of the search; again after the language model has requested further searches."""

    findings: Findings
    """With the passages of all searches so far. Each keeps its number when others are added; they
    are numbered anew if the language model takes fewer."""
    searches: Sequence[SearchQuery]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text, without citations of passages that do not exist."""

    text: str


Event = PassagesFound | Token | Answer
"""A PassagesFound for each change of the passages, then Tokens, and the Answer last. The Tokens'
concatenated text is the Answer's text but for trailing white space, unless the language model
failed midway: then only the Answer's text is valid."""

Events = AsyncGenerator[Event, None]
