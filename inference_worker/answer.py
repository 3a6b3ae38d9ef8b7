"""What the answer flow hands on: the events of an answer on its way, and the answer itself."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal

from database.searching.passage import Findings, Passage
from dataset.sources.provenance import Source

EXTRACTIVE = "extractive"
"""The generator's name where the passages are quoted and no language model wrote."""

UnsupportedKind = Literal["identifier", "number", "arn", "code", "flag", "quote", "url"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker `[n]` in an answer's text, and where it leads."""

    number: int
    """The passage's number, from 1."""
    start: int
    """Where the marker begins in the answer's text, in characters (code points)."""
    end: int
    """Where it ends."""
    quote: str
    """The passage's own words that come nearest to the sentence that cites it."""


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something checkable in an answer that stands in no passage."""

    kind: UnsupportedKind
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MisplacedCitation:
    """A citation whose passages lack what its sentence says, while another passage has it."""

    number: int
    """The passage that was cited."""
    start: int
    """Where the marker begins in the answer's text."""
    end: int
    found_in: tuple[int, ...]
    """The numbers of the passages that hold it."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """What the check of an answer against its passages found."""

    citations: Sequence[Citation] = ()
    """In the order of the text."""
    used: Sequence[int] = ()
    """Numbers of the passages that the answer rests on, most used first."""
    removed_citations: int = 0
    """Citations that pointed nowhere and were taken out."""
    misplaced: Sequence[MisplacedCitation] = ()
    unsupported: Sequence[Unsupported] = ()
    uncited_sentences: int = 0
    """Sentences that carry a claim and no citation."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens that an answer took, in the provider's own figures."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class CorpusInfo:
    """What was searched."""

    revision: int
    """The live index's revision."""
    built_at: str
    """UTC, ISO 8601."""
    documents: int
    sources: Sequence[Source]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gets back."""

    text: str
    docs: list[str]
    """Names of the documents to read, each once: those the answer used, then other close ones."""
    passages: list[Passage]
    """The passages the answer rests on; `[n]` in the text means the n-th of them."""
    grounding: Grounding
    generator: str
    """Who wrote the text: the language model's name, or "extractive"."""
    degraded_reason: str | None
    """Why the language model did not write it, where it should have; else None."""
    answerable: bool
    """Whether the documentation answers the question, as far as the search can tell."""
    confidence: float
    """Probability that it does, 0 to 1."""
    usage: TokenUsage | None
    """None where no language model wrote, or its provider gave no figures."""
    truncated: bool
    """Whether the language model was cut at the most tokens that an answer may have."""
    cached: bool
    """Whether the text is from an earlier, equal question; it took no tokens then."""
    corpus: CorpusInfo | None
    """None where the index went away meanwhile."""
    timings: dict[str, float]
    """Milliseconds by stage."""

    @property
    def degraded(self) -> bool:
        """Whether the language model failed and the passages were quoted instead."""
        return self.degraded_reason is not None


@dataclass(frozen=True, slots=True)
class PassagesFound:
    """The first event: what the search found."""

    findings: Findings


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text, as it arrives; citations in it point to passages."""

    text: str


Event = PassagesFound | Token | Answer
"""An answer on its way: one Found, any number of Tokens, and the Answer last. The Tokens' text put
together is the Answer's but for white space at its end, unless the language model broke off: then
the Answer's counts."""

Events = AsyncGenerator[Event, None]
