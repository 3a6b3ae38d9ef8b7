"""Labelled questions: what retrieval is measured with, a JSON object a line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT

DEFAULT_QUESTIONS = PROJECT_ROOT / "dataset" / "questions.jsonl"
KINDS = ("real", "written", "keyword", "identifier", "unanswerable")


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question with where its answer stands, as a person labelled it."""

    id: str
    """Its own, or the file's name and the line."""
    question: str
    gold_docs: tuple[str, ...]
    """Documents that hold the answer, the best first; none where nothing answers it."""
    answer_facts: tuple[str, ...]
    """Short strings that a right answer contains."""
    answerable: bool
    kind: str
    """One of KINDS."""


def load_questions(paths: Iterable[Path]) -> list[LabelledQuestion]:
    """Read and check one or several files of questions.

    Raises:
        DocsQAError: a file cannot be read or a line is wrong; names the line and the field.
    """
    questions: list[LabelledQuestion] = []
    first_seen: dict[str, str] = {}
    for path in paths:
        before = len(questions)
        for number, fields in _lines(path):
            place = f"{path}, line {number}"
            question = _question({"id": f"{path.stem}:{number}"} | fields, place)
            if question.id in first_seen:
                raise DocsQAError(
                    f"{place}: id: {question.id} stands at {first_seen[question.id]} already."
                )
            first_seen[question.id] = place
            questions.append(question)
        if len(questions) == before:
            raise DocsQAError(f"{path} holds no question.")
    return questions


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number and object; blank lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocsQAError(f"Cannot read the questions {path} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DocsQAError(f"{path} is not UTF-8 text.") from error
    # Not splitlines(): a question may hold a separator that JSON leaves as it is, like U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise DocsQAError(f"{path}, line {number}: not JSON ({error}).") from error
        if not isinstance(fields, dict):
            raise DocsQAError(f"{path}, line {number}: not a JSON object.")
        yield number, fields


def _question(fields: Mapping[str, Any], place: str) -> LabelledQuestion:
    def wrong(field: str, reason: str) -> DocsQAError:
        return DocsQAError(f"{place}: {field}: {reason}.")

    for field in ("id", "question", "kind"):
        value = fields.get(field)
        if not isinstance(value, str) or not value.strip():
            raise wrong(field, "must be a text that is not blank")
    for field in ("gold_docs", "answer_facts"):
        value = fields.get(field)
        if not isinstance(value, list) or not all(isinstance(e, str) and e.strip() for e in value):
            raise wrong(field, "must be a list of texts, none of them blank")
        if len(set(value)) < len(value):
            raise wrong(field, "names one twice")
    if not isinstance(fields.get("answerable"), bool):
        raise wrong("answerable", "must be true or false")
    if fields["kind"] not in KINDS:
        raise wrong("kind", f"must be one of {', '.join(KINDS)}")
    if fields["answerable"] and fields["kind"] == "unanswerable":
        raise wrong("answerable", "contradicts the kind")
    if fields["answerable"] != bool(fields["gold_docs"]):
        raise wrong("gold_docs", "an answerable question has some and an unanswerable one none")
    if fields["answer_facts"] and not fields["answerable"]:
        raise wrong("answer_facts", "an unanswerable question has none")
    return LabelledQuestion(
        id=fields["id"],
        question=fields["question"],
        gold_docs=tuple(fields["gold_docs"]),
        answer_facts=tuple(fields["answer_facts"]),
        answerable=fields["answerable"],
        kind=fields["kind"],
    )
