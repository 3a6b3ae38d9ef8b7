"""Runs labelled questions with one configuration of retrieval."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.evaluation.questions import LabelledQuestion

if TYPE_CHECKING:
    from database.reading.reader import Reader

SERVED_PASSAGES = 8
"""The number of passages that the service returns."""


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A retrieved passage."""

    document: str
    breadcrumb: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """One question and its search result."""

    question: LabelledQuestion
    found: tuple[FoundPassage, ...]
    """Best first."""
    confidence: float
    """The probability that the documents answer the question."""
    answered: bool
    """True if the confidence reaches the shipped threshold."""
    milliseconds: float
    """The latency of a search for SERVED_PASSAGES passages."""
    same_when_served: bool = True
    """True if that search returns the same first passages and decision as the deeper one."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The found documents, ranked by their best passage."""
        return tuple(dict.fromkeys(found.document for found in self.found))

    @property
    def gold_rank(self) -> int | None:
        """The rank, from 1, of the first right document; None if none was found."""
        gold = self.question.gold_docs
        places = (at for at, name in enumerate(self.documents, start=1) if name in gold)
        return next(places, None)

    def found_within(self, count: int) -> bool:
        """True if a right document is among the first `count`."""
        return self.gold_rank is not None and self.gold_rank <= count


def run_questions(
    reader: "Reader", questions: Sequence[LabelledQuestion], depth: int
) -> list[QuestionOutcome]:
    """Search twice for every question: deep, for the metrics; then as the service does, timed.

    The first round is also the warm-up of the second.

    Args:
        reader: The reader of the index.
        questions: The questions.
        depth: The number of passages by which documents are ranked.

    Raises:
        IndexUnavailableError: there is no index to read.
    """
    deep = [_found(reader, question, depth) for question in questions]
    outcomes = []
    for question, (found, confidence, answered) in zip(questions, deep, strict=True):
        started = time.perf_counter()
        served = _found(reader, question, SERVED_PASSAGES)
        milliseconds = 1000 * (time.perf_counter() - started)
        same = _essence(*served) == _essence(found[:SERVED_PASSAGES], confidence, answered)
        outcomes.append(QuestionOutcome(question, found, confidence, answered, milliseconds, same))
    return outcomes


def _found(
    reader: "Reader", question: LabelledQuestion, top_k: int
) -> tuple[tuple[FoundPassage, ...], float, bool]:
    findings = reader.search(question.question, top_k)
    found = tuple(
        FoundPassage(passage.chunk.document, passage.chunk.breadcrumb, passage.text, passage.score)
        for passage in findings.passages
    )
    return found, findings.confidence, findings.answerable


def _essence(found: tuple[FoundPassage, ...], confidence: float, answered: bool) -> object:
    """What a caller can see, without scores: these may depend on the number of passages."""
    return [(each.document, each.text) for each in found], round(confidence, 3), answered
