"""Reports prompts as the service sends them: python -m utils.evaluation.prompts -q FILE -db INDEX.

Shows, without an API key, the prompt for each labelled question and whether it contains the facts
of the answer. The report quotes passages of the documentation.
"""

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from dataset.markdown.writer import fenced_code, pipe_table
from utils.evaluation.configurations import OpenReader, open_reader
from utils.evaluation.metrics import count_facts
from utils.evaluation.questions import DEFAULT_QUESTIONS, KINDS, LabelledQuestion, load_questions
from utils.figures import run_measurement
from utils.settings import PROJECT_ROOT, Settings, load_settings

if TYPE_CHECKING:
    from database.reading.reader import Reader

_QUESTION_WIDTH = 70
"""Characters of a question in the table."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """A question and its prompt."""

    question: LabelledQuestion
    messages: Mapping[str, str]
    """Text by role, in the order sent."""
    documents: tuple[str, ...]
    """The document of each passage in the prompt."""
    tokens: int
    """By the service's counter."""
    facts_found: int
    """The number of the answer's facts in these passages."""
    answered: bool
    """True if the service sends the prompt, since it considers the question answerable."""
    confidence: float

    @property
    def right_decision(self) -> bool:
        """True if the service answers exactly if the question is answerable."""
        return self.answered == self.question.answerable

    @property
    def has_gold(self) -> bool:
        """True if a right document is among the passages."""
        return not set(self.documents).isdisjoint(self.question.gold_docs)


def _parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="prompt_report", description=__doc__)
    add = parser.add_argument
    add(
        "-q",
        "--questions",
        type=Path,
        default=DEFAULT_QUESTIONS,
        metavar="FILE",
        help="labelled questions, one JSON object per line (default: dataset/questions.jsonl)",
    )
    add(
        "-db",
        "--database_path",
        metavar="PATH_OR_URL",
        help="index folder, or http://host:port of a Chroma server (default: DATABASE)",
    )
    add("-n", "--number", type=int, default=30, help="number of questions (default: %(default)s)")
    add("-o", "--output", type=Path, default=PROJECT_ROOT / "build" / "prompts.md")
    arguments = parser.parse_args(argv)
    if arguments.number < 1:
        parser.error("-n must be 1 or more")
    return arguments


def main(argv: list[str] | None = None, opening: OpenReader = open_reader) -> int:
    """Write the report and print its totals; 1 with one line on an error."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")

    def report_prompts() -> None:
        questions = choose_questions(load_questions([arguments.questions]), arguments.number)
        with closing(opening(arguments.database_path, {})) as reader:
            prompted = prompt_all(reader, questions, load_settings())
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(report(prompted), encoding="utf-8")
        sys.stdout.write(f"{totals_table(prompted)}\n")

    return run_measurement(report_prompts)


def choose_questions(questions: Sequence[LabelledQuestion], number: int) -> list[LabelledQuestion]:
    """Choose `number` questions: equally from each kind, evenly within it; deterministic."""
    by_kind = {kind: [each for each in questions if each.kind == kind] for kind in KINDS}
    shares = dict.fromkeys(KINDS, 0)
    for _ in range(min(number, len(questions))):
        open_kinds = [kind for kind in KINDS if shares[kind] < len(by_kind[kind])]
        shares[min(open_kinds, key=shares.__getitem__)] += 1
    return [
        by_kind[kind][at * len(by_kind[kind]) // share]
        for kind, share in shares.items()
        for at in range(share)
    ]


def prompt_all(
    reader: "Reader", questions: Iterable[LabelledQuestion], settings: Settings
) -> list[Prompted]:
    """Retrieve passages for each question and write its prompt, as the answer flow does.

    Raises:
        DocsQAError: the index cannot be read.
    """
    from inference_worker.generation.prompt import write_prompt
    from inference_worker.generation.token_counter import count_tokens

    prompted = []
    for question in questions:
        findings = reader.search(question.question, settings.top_k)
        prompt = write_prompt(
            question.question,
            findings.passages,
            max_tokens=settings.prompt_max_tokens,
            count_tokens=count_tokens,
        )
        passages = findings.passages[: prompt.passages]
        prompted.append(
            Prompted(
                question=question,
                messages={message.type: str(message.text) for message in prompt.messages},
                documents=tuple(passage.chunk.document for passage in passages),
                tokens=prompt.tokens,
                facts_found=count_facts(question, (passage.text for passage in passages)),
                answered=findings.answerable,
                confidence=findings.confidence,
            )
        )
    return prompted


def report(prompted: Sequence[Prompted]) -> str:
    """The report as markdown: a row per question, the totals, the prompts."""
    rows = [("", "question", "kind", "passages", "tokens", "facts", "decision", "gold document")]
    sections = []
    for at, each in enumerate(prompted, start=1):
        question, count = _shortened(each.question.question), len(each.documents)
        gold = ("found" if each.has_gold else "MISSING") if each.question.gold_docs else "-"
        kind, facts, decision = each.question.kind, _facts([each]), _decision(each)
        rows.append((str(at), question, kind, str(count), str(each.tokens), facts, decision, gold))
        sections.append(_section(f"## {at}. {question}", each))
    totals = totals_table(prompted)
    return "\n\n".join(["# Prompts", pipe_table(rows), "## Totals", totals, *sections]) + "\n"


def totals_table(prompted: Sequence[Prompted]) -> str:
    """Sums and means, of all questions and of each kind."""
    header = (
        *("kind", "questions", "passages, mean", "tokens, mean", "tokens, most"),
        *("facts found / labelled", "gold document found", "right decisions"),
    )
    rows: list[Sequence[str]] = [header]
    for name in ("all", *KINDS):
        group = [each for each in prompted if name in ("all", each.question.kind)]
        if not group:
            continue
        tokens = [each.tokens for each in group]
        with_gold = [each for each in group if each.question.gold_docs]
        found = f"{sum(each.has_gold for each in with_gold)} / {len(with_gold)}"
        rows.append(
            (
                name,
                str(len(group)),
                f"{mean(len(each.documents) for each in group):.1f}",
                f"{mean(tokens):,.0f}",
                f"{max(tokens):,}",
                _facts(group),
                found if with_gold else "-",
                f"{sum(each.right_decision for each in group)} / {len(group)}",
            )
        )
    return pipe_table(rows)


def _facts(group: Sequence[Prompted]) -> str:
    labelled = sum(len(each.question.answer_facts) for each in group)
    return f"{sum(each.facts_found for each in group)} / {labelled}" if labelled else "-"


def _decision(each: Prompted) -> str:
    sent = "sent" if each.answered else "not sent"
    return f"{sent} ({each.confidence:.2f})" + ("" if each.right_decision else ", WRONG")


def _section(title: str, each: Prompted) -> str:
    facts = ", ".join(f"`{fact}`" for fact in each.question.answer_facts)
    about = [
        f"{each.question.id}, {each.question.kind}",
        f"Right documents: {', '.join(each.question.gold_docs) or 'none'}; facts: {facts or '-'}",
        f"Passages of: {', '.join(each.documents) or 'none'}",
    ]
    messages = (f"{role}:\n\n{fenced_code(text, 'text')}" for role, text in each.messages.items())
    return "\n\n".join([title, "  \n".join(about), *messages])


def _shortened(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= _QUESTION_WIDTH else f"{line[: _QUESTION_WIDTH - 3]}..."


if __name__ == "__main__":
    sys.exit(main())
