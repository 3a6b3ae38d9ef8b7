"""Measures retrieval with labelled questions: python -m utils.evaluation -q QUESTIONS -db INDEX.

Finds how often the right document and the facts of the answer are among what is handed on, how
well confidence tells what the documentation answers from what it does not, and how long it takes.
"""

import argparse
import json
import logging
import sys
from contextlib import closing
from dataclasses import fields
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from utils.errors import DocsQAError
from utils.evaluation.compare import Difference, compare_runs
from utils.evaluation.configurations import (
    SHIPPED,
    Configuration,
    OpenReader,
    check_labels,
    open_reader,
    parse_configuration,
)
from utils.evaluation.metrics import summaries
from utils.evaluation.misses import list_misses
from utils.evaluation.picture import draw_runs
from utils.evaluation.questions import DEFAULT_QUESTIONS, LabelledQuestion, load_questions
from utils.evaluation.report import comparison_table, metrics_table, overview, runs_as_json
from utils.evaluation.runs import SERVED_PASSAGES, QuestionOutcome, missing_documents, run_questions

if TYPE_CHECKING:
    pass

Runs = dict[str, list[QuestionOutcome]]
Comparisons = dict[str, list[Difference]]


def _parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="evaluate", description=__doc__)
    add = parser.add_argument
    add(
        "-q",
        "--questions",
        type=Path,
        action="append",
        metavar="FILE",
        help="labelled questions, one JSON object a line; may be repeated "
        "(default: dataset/questions.jsonl)",
    )
    add(
        "-db",
        "--database_path",
        metavar="PATH_OR_URL",
        help="index folder, or http://host:port of a Chroma server (default: DATABASE)",
    )
    add(
        "--depth",
        type=int,
        default=60,
        metavar="N",
        help="rank documents by so many passages (default: %(default)s)",
    )
    several = parser.add_mutually_exclusive_group()
    several.add_argument(
        "--compare",
        nargs="+",
        metavar="CONFIGURATION",
        help="hold several configurations against the first: 'shipped', or key=value,... with an "
        "optional 'label:' before it; a key is a field of database.searching.fusion.Ranking, or "
        "'database' for another index",
    )
    several.add_argument(
        "--ablate", action="store_true", help="hold retrieval without each ingredient against it"
    )
    add("--markdown", action="store_true", help="print the comparison as a table for a readme")
    add("--json", type=Path, metavar="FILE", help="write everything, question by question")
    add("--picture", type=Path, metavar="FILE", help="draw metrics by kind and confidence")
    add("--misses", type=int, default=10, metavar="N", help="list so many (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.depth < SERVED_PASSAGES or arguments.misses < 0:
        parser.error(f"--depth must be {SERVED_PASSAGES} or more, --misses 0 or more")
    if arguments.compare and len(arguments.compare) < 2:
        parser.error("--compare needs two configurations or more; the first is the baseline")
    if arguments.markdown and not (arguments.compare or arguments.ablate):
        parser.error("--markdown goes with --compare or --ablate")
    return arguments


def main(argv: list[str] | None = None, opening: OpenReader = open_reader) -> int:
    """Measure; 0 whatever the figures, 1 with one line where they could not be had."""
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        evaluate(arguments, opening)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return 130
    return 0


def evaluate(arguments: argparse.Namespace, opening: OpenReader) -> None:
    """Load the questions, put them to each configuration, compare, and show.

    Raises:
        DocsQAError: something is missing or wrong; says what.
    """
    _check_packages(arguments)
    questions = load_questions(arguments.questions or [DEFAULT_QUESTIONS])
    configurations = configurations_for(arguments)
    runs: Runs = {}
    checked: set[str | None] = set()
    for configuration in configurations:
        _say(f"{configuration.label}: {len(questions)} questions ...")
        place = configuration.database or arguments.database_path
        with closing(opening(place, configuration.ranking)) as reader:
            if place not in checked:
                checked.add(place)
                _warn_of_missing(questions, reader.documents())
            runs[configuration.label] = run_questions(reader, questions, arguments.depth)
        _warn_of_depth(runs[configuration.label], arguments.depth)
    baseline, *others = runs
    comparisons = {other: compare_runs(runs[baseline], runs[other]) for other in others}
    _print(arguments, runs, comparisons)
    _write(arguments, configurations, runs, comparisons)


def _check_packages(arguments: argparse.Namespace) -> None:
    """Find out now, and not after the measuring, what is not installed."""
    needed = ["ir_measures", "sklearn", *(["matplotlib"] if arguments.picture else [])]
    if missing := [name for name in needed if not find_spec(name)]:
        raise DocsQAError(
            f"Not installed: {', '.join(missing)}. Run: pip install -r requirements.txt "
            "-r requirements-dev.txt"
        )


def configurations_for(arguments: argparse.Namespace) -> list[Configuration]:
    """The configurations that the command line asks for, the baseline first.

    Raises:
        DocsQAError: one cannot be understood.
    """
    if not (arguments.compare or arguments.ablate):
        return [Configuration(SHIPPED)]
    from database.searching.fusion import ABLATIONS, Ranking

    if arguments.ablate:
        changes = [Configuration(label, changes) for label, changes in ABLATIONS.items()]
        return [Configuration(SHIPPED), *changes]
    shipped = Ranking()
    defaults = {field.name: getattr(shipped, field.name) for field in fields(shipped)}
    configurations = [parse_configuration(text, defaults) for text in arguments.compare]
    check_labels(configurations)
    return configurations


def _warn_of_missing(questions: list[LabelledQuestion], held: set[str]) -> None:
    if missing := missing_documents(questions, held):
        named = {name for question in questions for name in question.gold_docs}
        _say(
            f"Warning: the index lacks {len(missing)} of the {len(named)} documents that the "
            f"questions name, like {missing[0]}: these questions belong to another corpus."
        )


def _warn_of_depth(outcomes: list[QuestionOutcome], depth: int) -> None:
    if other := sum(not outcome.same_when_served for outcome in outcomes):
        _say(
            f"Note: for {other} of {len(outcomes)} questions a search for {SERVED_PASSAGES} "
            f"passages differs from the first {SERVED_PASSAGES} of the {depth} that are measured."
        )


def _print(arguments: argparse.Namespace, runs: Runs, comparisons: Comparisons) -> None:
    baseline = next(iter(runs))
    summary = summaries(runs[baseline])
    parts = [] if arguments.markdown else [f"{baseline}\n\n{metrics_table(summary)}"]
    if arguments.compare and not arguments.markdown:
        parts += [comparison_table(baseline, other, found) for other, found in comparisons.items()]
    if arguments.ablate or arguments.markdown or len(comparisons) > 1:
        parts.append(overview(baseline, summary["all"], comparisons, markdown=arguments.markdown))
    if not comparisons and arguments.misses:
        parts.append(list_misses(runs[baseline], arguments.misses))
    sys.stdout.write("\n\n".join(parts) + "\n")


def _write(
    arguments: argparse.Namespace,
    configurations: list[Configuration],
    runs: Runs,
    comparisons: Comparisons,
) -> None:
    """Write what was asked for.

    Raises:
        DocsQAError: a file cannot be written.
    """
    files = [path.name for path in arguments.questions or [DEFAULT_QUESTIONS]]
    asked = len(next(iter(runs.values())))
    try:
        if arguments.json:
            measured = {
                "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "questions": files,
                "depth": arguments.depth,
            }
            report = measured | runs_as_json(configurations, runs, comparisons)
            arguments.json.parent.mkdir(parents=True, exist_ok=True)
            arguments.json.write_text(json.dumps(report, indent=2) + "\n")
        if arguments.picture:
            draw_runs(arguments.picture, runs, f"{asked} questions: {', '.join(files)}")
    except OSError as error:
        raise DocsQAError(f"Cannot write {error.filename} ({error.strerror}).") from error


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
