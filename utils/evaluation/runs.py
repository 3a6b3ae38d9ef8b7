"""Runs labelled questions with one configuration of retrieval."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.evaluation.questions import LabelledQuestion

if TYPE_CHECKING:
    from database.reading.reader import Reader
    from database.searching.passage import Findings

DEPTH = 60
"""The number of passages by which documents are ranked."""
SERVED_PASSAGES = 8
"""The number of passages that the service returns."""


@dataclass(frozen=True, slots=True)
class QuestionOutcome:
    """One question and its search result."""

    question: LabelledQuestion
    findings: "Findings"
    """The DEPTH best passages, and the decision whether to answer."""
    milliseconds: float
    """The latency of a search for SERVED_PASSAGES passages."""

    @property
    def documents(self) -> tuple[str, ...]:
        """The found documents, ranked by their best passage."""
        return tuple(dict.fromkeys(each.chunk.document for each in self.findings.passages))

    def found_within(self, count: int) -> bool:
        """True if a right document is among the first `count`."""
        return not set(self.documents[:count]).isdisjoint(self.question.gold_docs)


def run_questions(reader: "Reader", questions: Sequence[LabelledQuestion]) -> list[QuestionOutcome]:
    """Search twice for every question: deep, for the metrics; then as the service does, timed.

    The first round is also the warm-up of the second.

    Raises:
        IndexUnavailableError: there is no index to read.
    """
    deep = [reader.search(question.question, DEPTH) for question in questions]
    outcomes = []
    for question, findings in zip(questions, deep, strict=True):
        started = time.perf_counter()
        reader.search(question.question, SERVED_PASSAGES)
        milliseconds = 1000 * (time.perf_counter() - started)
        outcomes.append(QuestionOutcome(question, findings, milliseconds))
    return outcomes
