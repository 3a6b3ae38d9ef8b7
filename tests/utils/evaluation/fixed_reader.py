"""A reader that returns the passages a test sets, and records its questions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from database.searching.confidence import ConfidenceFeatures
from database.searching.passage import Findings, Passage
from tests.files.pages import chunk
from utils.evaluation.questions import LabelledQuestion
from utils.evaluation.runs import QuestionOutcome

if TYPE_CHECKING:
    from database.reading.reader import Reader


def findings(*passages: tuple[str, str], confidence: float) -> Findings:
    """The documents found with their passage texts, best first; answerable from 0.5 upwards."""
    found = [
        Passage(chunk(text, document=name, title="Guide", headings=(name,)), text, 1.0 - at / 100)
        for at, (name, text) in enumerate(passages)
    ]
    return Findings(found, confidence, confidence >= 0.5, ConfidenceFeatures(0, 0, 0, 0))


@dataclass
class FixedReader:
    """Replaces the index."""

    sheet: Mapping[str, Findings]
    """The documents found per question."""
    held: set[str] = field(default_factory=set)
    asked: list[tuple[str, int]] = field(default_factory=list)
    closed: bool = False

    state: None = None
    """The revision of the index."""

    def search(self, question: str, top_k: int, filters: object = None) -> Findings:
        self.asked.append((question, top_k))
        found = self.sheet[question]
        return replace(found, passages=found.passages[:top_k])

    def cosines(self, question: str, texts: Sequence[str]) -> list[float]:
        return [0.0] * len(texts)

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


UNANSWERABLE = question("none", gold=(), kind="unanswerable")


def outcome(
    asked: LabelledQuestion,
    *documents: str,
    texts: Sequence[str] = (),
    confidence: float = 0.9,
    milliseconds: float = 10.0,
) -> QuestionOutcome:
    """The outcome of a question: one passage per document, with the given texts or empty ones."""
    padded = [*texts, *[""] * (len(documents) - len(texts))]
    found = findings(*zip(documents, padded, strict=True), confidence=confidence)
    return QuestionOutcome(asked, found, milliseconds)


def labelled(id_: str, asked: str, kind: str, gold: list[str], facts: list[str]) -> dict[str, Any]:
    """A line of a file of questions."""
    return {
        "id": id_,
        "question": asked,
        "gold_docs": gold,
        "answer_facts": facts,
        "answerable": bool(gold),
        "kind": kind,
    }


def write_questions(folder: Path, questions: Sequence[dict[str, Any]]) -> str:
    """Write a file of questions with blank lines between them; returns its path."""
    path = folder / "questions.jsonl"
    path.write_text("\n\n".join(map(json.dumps, questions)))
    return str(path)
