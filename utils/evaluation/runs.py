"""The questions put to one configuration of retrieval: what it found, how sure, how fast."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.evaluation.questions import LabelledQuestion

if TYPE_CHECKING:
    from database.reading.reader import Reader

SERVED_PASSAGES = 8
"""How many passages a reader and the language model get."""


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage as it is handed on."""

    document: str
    breadcrumb: str
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """One question, and what retrieval made of it."""

    question: LabelledQuestion
    found: tuple[FoundPassage, ...]
    """Best first."""
    confidence: float
    """0 to 1: how probable it is that the documentation answers the question."""
    answered: bool
    """Whether the shipped threshold lets the question through."""
    milliseconds: float
    """How long the search took that a caller waits for."""
    same_when_served: bool = True
    """Whether that search, which asks for fewer passages, finds and decides the same."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents found, ranked by their best passage."""
        return tuple(dict.fromkeys(found.document for found in self.found))

    @property
    def gold_rank(self) -> int | None:
        """The place, from 1, of the first right document; None where none was found."""
        gold = self.question.gold_docs
        places = (at for at, name in enumerate(self.documents, start=1) if name in gold)
        return next(places, None)

    def found_within(self, count: int) -> bool:
        """Whether a right document is among the first so many."""
        return self.gold_rank is not None and self.gold_rank <= count


def run_questions(
    reader: "Reader", questions: Sequence[LabelledQuestion], depth: int
) -> list[QuestionOutcome]:
    """Ask every question twice: first deep, for the metrics, then as the service asks, timed.

    The first round is also the warm-up of the second.

    Args:
        reader: Searches the index.
        questions: What is asked.
        depth: How many passages the documents' ranking is made of.

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
    """What a caller would notice; scores may be relative to all that was looked at."""
    return [(each.document, each.text) for each in found], round(confidence, 3), answered


def missing_documents(questions: Sequence[LabelledQuestion], held: set[str]) -> list[str]:
    """The documents that questions name and the index does not hold."""
    return sorted({name for question in questions for name in question.gold_docs} - held)
