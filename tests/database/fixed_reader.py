"""A reader that returns the passages a test sets, and records its questions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from utils.evaluation.questions import LabelledQuestion
from utils.evaluation.runs import FoundPassage, QuestionOutcome

if TYPE_CHECKING:
    from database.reading.reader import Reader


@dataclass(frozen=True)
class FixedChunk:
    """Metadata of a passage."""

    document: str
    breadcrumb: str


@dataclass(frozen=True)
class FixedPassage:
    """A passage."""

    chunk: FixedChunk
    text: str
    score: float


@dataclass(frozen=True)
class FixedFindings:
    """The findings of a search."""

    passages: list[FixedPassage]
    confidence: float
    answerable: bool


def findings(
    *passages: tuple[str, str], confidence: float, threshold: float = 0.5
) -> FixedFindings:
    """The documents found with their passage texts, best first."""
    found = [
        FixedPassage(FixedChunk(name, f"Guide > {name}"), text, 1.0 - at / 100)
        for at, (name, text) in enumerate(passages)
    ]
    return FixedFindings(found, confidence, confidence >= threshold)


@dataclass
class FixedReader:
    """Replaces the index."""

    sheet: Mapping[str, FixedFindings]
    """The documents found per question."""
    held: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    closed: bool = False

    def search(self, question: str, top_k: int) -> FixedFindings:
        self.asked.append((question, top_k))
        all_of_it = self.sheet[question]
        return FixedFindings(all_of_it.passages[:top_k], all_of_it.confidence, all_of_it.answerable)

    def documents(self) -> set[str]:
        return self.held

    def close(self) -> None:
        self.closed = True

    def as_reader(self) -> "Reader":
        return cast("Reader", self)


def question(
    id_: str = "q",
    gold: Sequence[str] = ("a.md",),
    facts: Sequence[str] = (),
    kind: str = "written",
) -> LabelledQuestion:
    return LabelledQuestion(id_, f"What of {id_}?", tuple(gold), tuple(facts), bool(gold), kind)


def outcome(
    asked: LabelledQuestion,
    *documents: str,
    texts: Sequence[str] = (),
    confidence: float = 0.9,
    milliseconds: float = 10.0,
) -> QuestionOutcome:
    """The outcome of a question: one passage per document, with the given texts or empty ones."""
    padded = [*texts, *[""] * (len(documents) - len(texts))]
    found = tuple(
        FoundPassage(name, f"Guide > {name}", text, 1.0 - at / 100)
        for at, (name, text) in enumerate(zip(documents, padded, strict=True))
    )
    return QuestionOutcome(asked, found, confidence, confidence >= 0.5, milliseconds)
