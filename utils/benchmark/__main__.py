"""Measures the build and the service: python -m utils.benchmark -d FOLDER.

Measures in one run, on the same files and the same model: our build compared with the original's
pipeline and with the machine's matrix rate; our service compared with the original's; many clients
that wait for a slow language model; and, with a simulated provider, answers streamed to one client
and to many, and outages of the provider. With --other_model it also compares two models.
"""

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from utils.benchmark.arguments import MODELS, chosen_parts, parse_benchmark_arguments
from utils.benchmark.builds import (
    BuildFigures,
    build_measures,
    build_original,
    build_ours,
    matrix_measures,
)
from utils.benchmark.machine import MatrixRates, measure_matrix_rates
from utils.benchmark.models import QuestionFigures, compare_models, embed_questions
from utils.benchmark.outage import measure_outage
from utils.benchmark.processes import BenchmarkRun, run_worker
from utils.benchmark.provider import serve_provider
from utils.benchmark.report import (
    Measure,
    Parts,
    draw_measures,
    measures_as_json,
    measures_sections,
    measures_table,
)
from utils.benchmark.sample import DocumentSample, heading_questions, take_sample
from utils.benchmark.services import measure_llm, measure_services, serve_original
from utils.benchmark.streaming import measure_streaming, measure_streams
from utils.errors import DocsQAError
from utils.figures import machine_facts, now, write_report
from utils.settings import load_settings


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 whatever the figures, 1 with one line if they cannot be measured."""
    arguments = parse_benchmark_arguments(__doc__, argv)
    try:
        if arguments.worker:
            _WORKERS[arguments.worker](BenchmarkRun(**arguments.job), arguments.port)
            return 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        _benchmark(arguments, sys.argv[1:] if argv is None else argv)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return 130
    return 0


def _benchmark(arguments: argparse.Namespace, argv: list[str]) -> None:
    """Sample the documents, measure part by part, and report.

    Raises:
        DocsQAError: a part could not be measured.
    """
    load = os.getloadavg()[0]
    with _scratch(arguments) as job:
        sample = take_sample(
            arguments.input_data_path, Path(job.documents), arguments.megabytes * 1e6, _say
        )
        _say(f"{sample.documents:,} documents, {sample.size / 1e6:.2f} MB, {job.model}")
        if load > 1:
            _say(f"The machine is busy (load {load:.1f}), which distorts the figures.")
        parts: Parts = {}
        rates, ours = _build(arguments, job, sample, parts)
        questions = heading_questions(Path(job.documents))
        for part, (title, measure) in _PARTS.items():
            if part in chosen_parts(arguments):
                _say(f"{title} ...")
                parts[title] = measure(arguments, job, questions)
    facts = machine_facts() | {
        "backend": rates.backend,
        "precision": rates.precision,
        "load_before": load,
    }
    _report(arguments, argv, parts, facts, sample, ours)


@contextmanager
def _scratch(arguments: argparse.Namespace) -> Iterator[BenchmarkRun]:
    """A temporary folder for everything that the run creates."""
    from database.embedding.model_finder import MINILM, find_model, named

    name, other = named(arguments.embedding_model_name), named(arguments.other_model)
    # The packaged MiniLM needs no folder; the folder in the settings may contain another model.
    path = None if name == MINILM else load_settings().embedding_model_path
    model = find_model(name, path)
    other_folder = str(find_model(other, path).folder.resolve()) if other else ""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        folders = [Path(scratch) / part for part in ("documents", "ours", "original", "logs")]
        for folder in folders:
            folder.mkdir()
        documents, ours, original, logs = map(str, folders)
        yield BenchmarkRun(
            documents=documents,
            ours=ours,
            original=original,
            logs=logs,
            model=name,
            model_folder=str(model.folder.resolve()),
            other_model=other,
            other_model_folder=other_folder,
            first_token_seconds=arguments.first_token_seconds,
            tokens_per_second=arguments.tokens_per_second,
            answer_tokens=arguments.answer_tokens,
            matrix_rounds=arguments.matrix_rounds,
        )


def _build(
    arguments: argparse.Namespace, job: BenchmarkRun, sample: DocumentSample, parts: Parts
) -> tuple[MatrixRates, BuildFigures | None]:
    """Build the indexes that the chosen parts need; the comparison of models builds its own."""
    _say("matrix rate of the machine ...")
    rates = MatrixRates(**run_worker("matrix-rate", job))
    if arguments.part == MODELS:
        return rates, None
    _say("our build ...")
    ours = BuildFigures(**run_worker("build", job))
    if arguments.part in ("llm", "streams", "outage"):
        return rates, ours
    _say("the original's build ...")
    original = BuildFigures(**run_worker("original-build", job))
    if "build" in chosen_parts(arguments):
        _say("our build again ...")
        start = time.perf_counter()
        run_worker("build", job)
        seconds = time.perf_counter() - start
        parts["build"] = build_measures(sample.size, ours, original, seconds)
        parts["machine"] = matrix_measures(ours, rates)
    return rates, ours


def _report(
    arguments: argparse.Namespace,
    argv: list[str],
    parts: Parts,
    facts: dict[str, Any],
    sample: DocumentSample,
    ours: BuildFigures | None,
) -> None:
    """Print the table; write the markdown report, the JSON beside it, and the picture."""
    measured = (
        f"{facts['backend']} {facts['precision']}; {sample.size / 1e6:.2f} MB in "
        f"{sample.documents:,} documents, {arguments.embedding_model_name}"
    )
    caption = f"{facts['cpu']}, {facts['cores']} cores, {measured}"
    options = vars(arguments).items()
    report = {
        "measured_at": now(),
        "machine": facts,
        "model": arguments.embedding_model_name,
        "sample": asdict(sample),
        "settings": {n: v for n, v in options if isinstance(v, int | float) and n != "port"},
        "measures": measures_as_json(parts),
        "our_build": asdict(ours) if ours else None,
    }
    try:
        sections = [f"{measured}.", *measures_sections(parts)]
        write_report(arguments.output, "Benchmark", "utils.benchmark", argv, sections)
        arguments.output.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
        if arguments.picture and not find_spec("matplotlib"):
            _say("No picture: it needs matplotlib (pip install -r requirements-dev.txt).")
        elif arguments.picture and not parts.keys().isdisjoint(("build", "service")):
            draw_measures(arguments.picture, parts, caption)
    except OSError as error:
        raise DocsQAError(f"Cannot write {error.filename} ({error.strerror}).") from error
    finally:
        sys.stdout.write(f"{caption}\n\n{measures_table(parts)}\n")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _figures_worker(
    measure: Callable[[BenchmarkRun], BuildFigures | MatrixRates | QuestionFigures],
) -> Callable[[BenchmarkRun, int], None]:
    """A worker that prints its figures as its last line."""

    def worker(job: BenchmarkRun, port: int) -> None:
        logging.basicConfig(level=logging.ERROR, format="%(message)s")
        sys.stdout.write(f"\n{json.dumps(asdict(measure(job)))}\n")

    return worker


_WORKERS: dict[str, Callable[[BenchmarkRun, int], None]] = {
    "matrix-rate": _figures_worker(measure_matrix_rates),
    "build": _figures_worker(build_ours),
    "original-build": _figures_worker(build_original),
    "questions": _figures_worker(embed_questions),
    "original-service": serve_original,
    "provider": serve_provider,
}

_Measure = Callable[[argparse.Namespace, BenchmarkRun, list[str]], list[Measure]]
_PARTS: dict[str, tuple[str, _Measure]] = {
    "service": ("service", lambda a, job, q: measure_services(job, q, a.requests)),
    "llm": (
        "language model",
        lambda a, job, q: measure_llm(job, q, a.llm_clients, a.llm_seconds),
    ),
    "streaming": ("streaming", lambda a, job, q: measure_streaming(job, q, a.stream_questions)),
    "streams": (
        "streams",
        lambda a, job, q: measure_streams(job, q, a.stream_clients, a.stream_seconds),
    ),
    "outage": (
        "outage",
        lambda a, job, q: measure_outage(job, q, a.outage_seconds, a.outage_timeout),
    ),
    MODELS: ("models", lambda a, job, q: compare_models(job, _say)),
}
"""The parts that start a service: title and function."""


if __name__ == "__main__":
    sys.exit(main())
