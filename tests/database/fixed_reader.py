"""A reader that finds what a test lays down, and records what it was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from utils.evaluation.questions import LabelledQuestion
from utils.evaluation.runs import FoundPassage, QuestionOutcome

if TYPE_CHECKING:
    from database.reading.reader import Reader


@dataclass(frozen=True)
class FixedChunk:
    """Where a passage stands."""

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
    """What a search returns."""

    passages: list[FixedPassage]
    confidence: float
    answerable: bool


def findings(
    *passages: tuple[str, str], confidence: float, threshold: float = 0.5
) -> FixedFindings:
    """What is found: documents with a passage's text, best first."""
    found = [
        FixedPassage(FixedChunk(name, f"Guide > {name}"), text, 1.0 - at / 100)
        for at, (name, text) in enumerate(passages)
    ]
    return FixedFindings(found, confidence, confidence >= threshold)


@dataclass
class FixedReader:
    """Stands for the index."""

    sheet: Mapping[str, FixedFindings]
    """What each question finds."""
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
    """What a search made of a question: a passage for each document, with the texts or none."""
    padded = [*texts, *[""] * (len(documents) - len(texts))]
    found = tuple(
        FoundPassage(name, f"Guide > {name}", text, 1.0 - at / 100)
        for at, (name, text) in enumerate(zip(documents, padded, strict=True))
    )
    return QuestionOutcome(asked, found, confidence, confidence >= 0.5, milliseconds)
