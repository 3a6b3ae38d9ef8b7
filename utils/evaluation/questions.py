"""Labelled questions: one JSON object per line."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT

_FOLDER = PROJECT_ROOT / "dataset" / "questions"
DEFAULT_QUESTIONS = (_FOLDER / "api_reference.jsonl", _FOLDER / "guide.jsonl")
"""Questions to develop with. Beside them, `pasted.jsonl` has text that users paste, and
`untouched.jsonl` is only measured, never looked at."""
KINDS = ("real", "written", "keyword", "identifier", "pasted", "unanswerable")


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question labelled with the documents and facts of its answer."""

    id: str
    """From the file, or the file's name and the line number."""
    question: str
    gold_docs: tuple[str, ...]
    """Documents that contain the answer, best first; none if unanswerable."""
    answer_facts: tuple[str, ...]
    """Short strings that a correct answer contains."""
    answerable: bool
    kind: str
    """One of KINDS."""


def load_questions(paths: Iterable[Path]) -> list[LabelledQuestion]:
    """Read and check one or several files of questions.

    Raises:
        DocsQAError: a file cannot be read or a line is invalid; names the line and the field.
    """
    questions: list[LabelledQuestion] = []
    first_seen: dict[str, str] = {}
    for path in paths:
        before = len(questions)
        for number, fields in _lines(path):
            place = f"{path}, line {number}"
            question = _question({"id": f"{path.stem}:{number}"} | fields, place)
            if question.id in first_seen:
                first = first_seen[question.id]
                raise DocsQAError(f"{place}: id: {question.id} is already used at {first}.")
            first_seen[question.id] = place
            questions.append(question)
        if len(questions) == before:
            raise DocsQAError(f"{path} contains no question.")
    return questions


def questions_of(
    questions: Iterable[LabelledQuestion], indexed: Container[str]
) -> list[LabelledQuestion]:
    """The questions that an index can be asked, with those of their documents that it contains.

    Unanswerable questions stay; answerable ones of which it lacks every document are left out.

    Raises:
        DocsQAError: all answerable questions are left out.
    """
    questions = list(questions)
    labelled = (
        replace(each, gold_docs=tuple(name for name in each.gold_docs if name in indexed))
        for each in questions
    )
    asked = [each for each in labelled if each.gold_docs or not each.answerable]
    if len(asked) < len(questions) and not any(each.answerable for each in asked):
        raise DocsQAError("The index contains none of the documents that the questions name.")
    return asked


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and object of each line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DocsQAError(f"Cannot read the questions {path} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DocsQAError(f"{path} is not UTF-8 text.") from error
    # Not splitlines(): it splits at separators such as U+2028, which JSON does not escape.
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
            raise wrong(field, "must be a string that is not blank")
    for field in ("gold_docs", "answer_facts"):
        value = fields.get(field)
        if not isinstance(value, list) or not all(isinstance(e, str) and e.strip() for e in value):
            raise wrong(field, "must be a list of strings, none of them blank")
        if len(set(value)) < len(value):
            raise wrong(field, "contains a duplicate")
    if not isinstance(fields.get("answerable"), bool):
        raise wrong("answerable", "must be true or false")
    if fields["kind"] not in KINDS:
        raise wrong("kind", f"must be one of {', '.join(KINDS)}")
    if fields["answerable"] and fields["kind"] == "unanswerable":
        raise wrong("answerable", "contradicts the kind 'unanswerable'")
    if fields["answerable"] != bool(fields["gold_docs"]):
        raise wrong("gold_docs", "an answerable question needs some, an unanswerable none")
    if fields["answer_facts"] and not fields["answerable"]:
        raise wrong("answer_facts", "an unanswerable question must have none")
    return LabelledQuestion(
        id=fields["id"],
        question=fields["question"],
        gold_docs=tuple(fields["gold_docs"]),
        answer_facts=tuple(fields["answer_facts"]),
        answerable=fields["answerable"],
        kind=fields["kind"],
    )
