"""Measures retrieval with labelled questions: python -m utils.evaluation -q QUESTIONS -db INDEX.

Reports how often the right document and the facts of the answer are among the passages, how well
the confidence separates answerable from unanswerable questions, and the latency of a search.
`python -m utils.evaluation answers` measures the answers that a language model writes.
"""

import argparse
import logging
import sys
from contextlib import closing
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path

from database.building.arguments import add_database_argument
from utils.errors import DocsQAError
from utils.evaluation.compare import compare_runs
from utils.evaluation.configurations import (
    SHIPPED,
    Configuration,
    OpenReader,
    check_labels,
    open_reader,
    parse_configuration,
)
from utils.evaluation.questions import (
    DEFAULT_QUESTIONS,
    load_questions,
    questions_of,
)
from utils.evaluation.report import Runs, list_misses, print_tables, runs_sections
from utils.evaluation.runs import run_questions
from utils.figures import print_progress, run_measurement, write_report


def _parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="evaluation", description=__doc__)
    add = parser.add_argument
    add(
        "-q",
        "--questions",
        type=Path,
        action="append",
        metavar="FILE",
        help="labelled questions, one JSON object per line; repeatable "
        "(default: those in dataset/questions to develop with)",
    )
    add_database_argument(parser)
    several = parser.add_mutually_exclusive_group()
    several.add_argument(
        "--compare",
        nargs="+",
        metavar="CONFIGURATION",
        help="compare configurations with the first: 'shipped', or key=value,... with an optional "
        "'label:' before it; a key is a field of database.searching.fusion.Ranking, or "
        "'database' for another index",
    )
    several.add_argument(
        "--ablate", action="store_true", help="compare retrieval with itself without each part"
    )
    add("-o", "--output", type=Path, metavar="FILE", help="write the tables as markdown")
    add("--misses", type=int, default=10, metavar="N", help="list at most N (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.misses < 0:
        parser.error("--misses must be 0 or more")
    if arguments.compare and len(arguments.compare) < 2:
        parser.error("--compare needs two or more configurations; the first is the baseline")
    arguments.questions = arguments.questions or [*DEFAULT_QUESTIONS]
    return arguments


def main(argv: list[str] | None = None, opening: OpenReader = open_reader) -> int:
    """Measure; 0 whatever the figures, 1 with one line if they cannot be measured."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["answers"]:
        from utils.evaluation import answers

        return answers.main(argv[1:])
    arguments = _parse_arguments(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    return run_measurement(lambda: _evaluate(arguments, opening, argv))


def _evaluate(arguments: argparse.Namespace, opening: OpenReader, argv: list[str]) -> None:
    """Load the questions, run them with each configuration, compare, print and write.

    Raises:
        DocsQAError: a package, a question or the index is missing or wrong.
    """
    _check_packages()
    questions = load_questions(arguments.questions)
    configurations = _configurations(arguments)
    runs: Runs = {}
    for configuration in configurations:
        place = configuration.database or arguments.database_path
        with closing(opening(place, configuration.ranking)) as reader:
            if not runs:
                asked = questions_of(questions, reader.documents())
                if missing := len(questions) - len(asked):
                    print_progress(
                        f"{missing} questions about documents that the index lacks are left out."
                    )
                questions = asked
            print_progress(f"{configuration.label}: {len(questions)} questions ...")
            runs[configuration.label] = run_questions(reader, questions)
    baseline, *others = runs
    comparisons = {other: compare_runs(runs[baseline], runs[other]) for other in others}
    sys.stdout.write(print_tables(runs, comparisons, in_full=bool(arguments.compare)) + "\n")
    if not comparisons and arguments.misses:
        sys.stdout.write(f"\n{list_misses(runs[baseline], arguments.misses)}\n")
    if arguments.output:
        files = ", ".join(path.name for path in arguments.questions)
        sections = [f"{len(questions)} questions: {files}.", *runs_sections(runs, comparisons)]
        title = "Retrieval with labelled questions"
        write_report(arguments.output, title, "utils.evaluation", argv, sections)


def _check_packages() -> None:
    """Report missing packages before measuring, not after."""
    if not find_spec("ir_measures"):
        raise DocsQAError("Not installed: ir-measures. Run: pip install -r requirements-dev.txt")


def _configurations(arguments: argparse.Namespace) -> list[Configuration]:
    """The configurations named on the command line, the baseline first.

    Raises:
        DocsQAError: one cannot be parsed.
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


if __name__ == "__main__":
    sys.exit(main())
