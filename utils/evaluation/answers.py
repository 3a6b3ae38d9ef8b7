"""Measures written answers: python -m utils.evaluation answers -q QUESTIONS -db INDEX.

Each labelled question is answered by the settings' language model, with `--replay` by the replies
that an earlier run recorded with `--record`, or with `--quote` without a language model. Reported
are the facts in the passages that the model was given and in its answers, how its coverage agrees
with the labels, and what an answer cost. Facts are matched as strings, so their figures are lower
bounds.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from database.building.arguments import add_database_argument
from dataset.markdown.writer import pipe_table
from dataset.sentences import sentences
from inference_worker.generation.language_model import Generation, LanguageModel
from inference_worker.generation.token_counter import count_tokens
from utils.errors import DocsQAError, GenerationError
from utils.evaluation.configurations import open_reader
from utils.evaluation.metrics import facts_in
from utils.evaluation.questions import (
    DEFAULT_QUESTIONS,
    LabelledQuestion,
    load_questions,
    questions_of,
)
from utils.figures import aligned_table, now, print_progress, run_measurement, write_report
from utils.settings import load_settings

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from database.reading.reader import Reader
    from inference_worker.answer import Answer

Replies = dict[str, list[dict[str, str]]]
"""For each question's id its calls in order: `reply`, and the SHA-256 of its `prompt`."""


@dataclass
class ObservedModel(LanguageModel):
    """A language model whose calls are kept; without an inner one, the replies are replayed."""

    inner: LanguageModel | None
    replies: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    name: str = "recorded"
    is_offered: bool = True
    question: str = ""
    """The id of the question that is being answered."""
    calls: list[tuple[str, Generation]] = field(default_factory=list)
    """The prompt and the completion of each of its calls."""
    changed: set[str] = field(default_factory=set)
    """The questions of which a prompt is not that of the recording."""

    def deadline(self) -> float:
        """That of the inner model; a replay takes no time."""
        return self.inner.deadline() if self.inner else float("inf")

    async def generate(
        self, messages: "Sequence[BaseMessage]", deadline: float | None = None
    ) -> Generation:
        """Complete, and keep the call."""
        prompt = "\n\n".join(str(message.text) for message in messages)
        if self.inner:
            generation = await self.inner.generate(messages, deadline)
        else:
            generation = Generation(self._recorded(prompt), self.name, None)
        self.calls.append((prompt, generation))
        return generation

    def _recorded(self, prompt: str) -> str:
        recorded = self.replies.get(self.question, ())
        if len(self.calls) >= len(recorded):
            raise GenerationError("no reply was recorded")
        call = recorded[len(self.calls)]
        if call["prompt"] != digest(prompt):
            self.changed.add(self.question)
        return call["reply"]

    async def aclose(self) -> None:
        """Close the inner model."""
        if self.inner:
            await self.inner.aclose()


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """A question, its answer, and the calls that wrote it."""

    question: LabelledQuestion
    answer: "Answer"
    calls: Sequence[tuple[str, Generation]]

    @property
    def passages(self) -> str:
        """The passages of the last prompt; those of the search if there was no call."""
        if self.calls:
            return self.calls[-1][0].rpartition("<question>")[0]
        return "\n".join(passage.text for passage in self.answer.passages)

    @property
    def is_refused_unasked(self) -> bool:
        """Whether the search alone decided that the documents do not answer."""
        return not (self.calls or self.answer.answerable)


def digest(prompt: str) -> str:
    """SHA-256 of a prompt, in hexadecimal."""
    return hashlib.sha256(prompt.encode()).hexdigest()


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 whatever the figures, 1 with one line if they cannot be measured."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    return run_measurement(
        lambda: asyncio.run(_measure(arguments, sys.argv[1:] if argv is None else argv))
    )


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils.evaluation answers", description=__doc__)
    add = parser.add_argument
    add("-q", "--questions", type=Path, action="append", metavar="FILE",
        help="labelled questions; repeatable (default: those to develop with)")  # fmt: skip
    add_database_argument(parser)
    replies = parser.add_mutually_exclusive_group()
    replies.add_argument("--record", type=Path, metavar="FILE", help="write the replies")
    replies.add_argument("--quote", action="store_true", help="call no language model")
    replies.add_argument("--replay", type=Path, metavar="FILE", help="use recorded replies")
    add("-o", "--output", type=Path, metavar="FILE", help="write the table as markdown")
    arguments = parser.parse_args(argv)
    arguments.questions = arguments.questions or [*DEFAULT_QUESTIONS]
    return arguments


async def _measure(arguments: argparse.Namespace, argv: Sequence[str]) -> None:
    """Answer the questions, print and write the figures.

    Raises:
        DocsQAError: no language model is set, or questions, replies or index cannot be read.
    """
    questions = load_questions(arguments.questions)
    replies = read_replies(arguments.replay) if arguments.replay else None
    if replies is not None:
        questions = [each for each in questions if each.id in replies]
        if not questions:
            raise DocsQAError(f"{arguments.replay} has no replies to these questions.")
    with closing(open_reader(arguments.database_path, {})) as reader:
        questions = questions_of(questions, reader.documents())
        if arguments.quote:
            outcomes = await quote_answers(reader, questions)
        else:
            outcomes = await answer_questions(reader, questions, replies, arguments.record)
    rows = figures(outcomes)
    sys.stdout.write(aligned_table(rows) + "\n")
    if arguments.output:
        files = ", ".join(path.name for path in arguments.questions)
        sections = [f"{len(questions)} questions: {files}.", pipe_table(rows)]
        write_report(
            arguments.output, "Written answers", "utils.evaluation", ["answers", *argv], sections
        )


async def answer_questions(
    reader: "Reader",
    questions: Sequence[LabelledQuestion],
    replies: Replies | None = None,
    record: Path | None = None,
) -> list[AnswerOutcome]:
    """Answer every question by the settings' language model, or by recorded replies.

    A question without a recorded reply is answered as if the language model had failed.

    Args:
        reader: The index.
        questions: The labelled questions.
        replies: The recorded replies; None to call the language model.
        record: File to write the replies to, each as soon as it is complete.

    Raises:
        DocsQAError: no language model is set, or the index cannot be read.
    """
    from inference_worker.answering.answerer import Answerer
    from inference_worker.generation.providers import language_model_from

    settings = load_settings(answer_cache_size=0)
    inner = language_model_from(settings) if replies is None else None
    if replies is None and inner is None:
        raise DocsQAError("No language model: set MISTRAL_API_KEY, or replay with --replay FILE.")
    model = ObservedModel(inner, replies or {}, name=inner.name if inner else "recorded")
    answerer = Answerer(reader, model, settings)
    outcomes = []
    try:
        for at, each in enumerate(questions, start=1):
            model.question, model.calls = each.id, []
            answer = await answerer.answer(each.question)
            outcomes.append(AnswerOutcome(each, answer, model.calls))
            if record:
                write_replies(record, outcomes)
            if inner:
                print_progress(f"{at} of {len(questions)}: {each.id}")
    finally:
        await answerer.aclose()
    if model.changed:
        print_progress(
            f"Warning: {len(model.changed)} of {len(questions)} questions have another prompt than "
            f"when their replies were recorded, such as {min(model.changed)}."
        )
    return outcomes


async def quote_answers(
    reader: "Reader", questions: Sequence[LabelledQuestion]
) -> list[AnswerOutcome]:
    """Answer every question without a language model.

    Raises:
        DocsQAError: the index cannot be read.
    """
    from inference_worker.answering.answerer import Answerer

    answerer = Answerer(reader, None, load_settings())
    try:
        return [AnswerOutcome(each, await answerer.answer(each.question), ()) for each in questions]
    finally:
        await answerer.aclose()


def read_replies(path: Path) -> Replies:
    """Read recorded replies: one JSON object per line, with `id` and `calls`, or with `made`.

    Raises:
        DocsQAError: the file cannot be read.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {line["id"]: line["calls"] for line in lines if "made" not in line}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DocsQAError(f"Cannot read the replies {path} ({type(error).__name__}).") from error


def write_replies(path: Path, outcomes: Sequence[AnswerOutcome]) -> None:
    """Write the replies to every question, after a line on how they were made."""
    models = sorted({done.model for each in outcomes for _, done in each.calls})
    lines = [json.dumps({"made": f"{now()}: by {', '.join(models)}"}) + "\n"]
    for each in outcomes:
        calls = [{"prompt": digest(prompt), "reply": done.text} for prompt, done in each.calls]
        line = {"id": each.question.id, "calls": calls}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def figures(outcomes: Sequence[AnswerOutcome]) -> list[list[str]]:
    """The figures, a row each, of the answerable and of the unanswerable questions."""
    groups = {
        "answerable": [each for each in outcomes if each.question.answerable],
        "unanswerable": [each for each in outcomes if not each.question.answerable],
    }
    columns = [_figures(group) for group in groups.values()]
    names = dict.fromkeys(name for column in columns for name in column)
    return [
        ["", *groups],
        *([name, *(column.get(name, "-") for column in columns)] for name in names),
    ]


def _figures(outcomes: Sequence[AnswerOutcome]) -> dict[str, str]:
    if not outcomes:
        return {"questions": "0"}
    found = {"questions": str(len(outcomes))}
    labelled = [each for each in outcomes if each.question.answer_facts]
    if labelled:
        facts = sum(len(each.question.answer_facts) for each in labelled)
        shown = sum(facts_in(each.passages, each.question) for each in labelled)
        missing = [
            len(each.question.answer_facts) - facts_in(each.answer.text, each.question)
            for each in labelled
        ]
        found["facts in the passages given"] = f"{shown / facts:.3f}"
        found["facts in the answer"] = f"{1 - sum(missing) / facts:.3f}"
        found["answers with every fact"] = f"{missing.count(0) / len(missing):.3f}"
    coverage = [each.answer.coverage for each in outcomes]
    found |= {f"coverage {name}": f"{coverage.count(name) / len(outcomes):.3f}"
              for name in ("full", "partial", "none", None)}  # fmt: skip
    answers = [each.answer for each in outcomes]
    tokens = [
        (
            sum(count_tokens(prompt) for prompt, _ in each.calls),
            sum(count_tokens(done.text) for _, done in each.calls),
        )
        for each in outcomes
    ]
    citations = sum(len(answer.grounding.citations) for answer in answers)
    written_sentences = sum(len(sentences(answer.text)) for answer in answers)
    found |= {
        "refused without a call": f"{mean(each.is_refused_unasked for each in outcomes):.3f}",
        "degraded": f"{mean(answer.degraded for answer in answers):.3f}",
        "calls": f"{mean(len(each.calls) for each in outcomes):.2f}",
        "searches": f"{mean(len(answer.searches) for answer in answers):.2f}",
        "citations per sentence": f"{citations / max(1, written_sentences):.2f}",
        "uncited sentences": f"{mean(each.grounding.uncited_sentences for each in answers):.2f}",
        "unsupported": f"{mean(len(each.grounding.unsupported) for each in answers):.2f}",
        "misplaced citations": f"{mean(len(each.grounding.misplaced) for each in answers):.2f}",
        "characters": f"{mean(len(answer.text) for answer in answers):.0f}",
        "prompt tokens": f"{mean(prompt for prompt, _ in tokens):.0f}",
        "completion tokens": f"{mean(completion for _, completion in tokens):.0f}",
    }
    return found


if __name__ == "__main__":
    sys.exit(main())
