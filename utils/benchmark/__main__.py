"""Measures the build and the service: python -m utils.benchmark -d FOLDER.

Measures in one run, on the same files and the same model: our build compared with the original's
pipeline and with the machine's matrix rate; our service compared with the original's; and, with a
simulated provider, answers streamed to one client and to many, and outages of the provider.
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

from utils.benchmark.arguments import parse_benchmark_arguments
from utils.benchmark.builds import (
    BuildFigures,
    build_measures,
    build_ours,
    matrix_measures,
)
from utils.benchmark.machine import MatrixRate, measure_matrix_rate
from utils.benchmark.outage import measure_outage
from utils.benchmark.processes import BenchmarkRun, run_worker
from utils.benchmark.provider import serve_provider, simulated_provider
from utils.benchmark.report import (
    Parts,
    draw_measures,
    measures_as_json,
    measures_sections,
    measures_table,
)
from utils.benchmark.sample import DocumentSample, heading_questions, take_sample
from utils.benchmark.services import measure_services, serve_original
from utils.benchmark.streaming import measure_streaming
from utils.figures import machine_facts, now, print_progress, run_measurement, write_report
from utils.settings import load_settings


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 whatever the figures, 1 with one line if they cannot be measured."""
    arguments = parse_benchmark_arguments(__doc__, argv)
    if arguments.worker:
        return run_measurement(
            lambda: _work(arguments.worker, BenchmarkRun(**arguments.run), arguments.port)
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run_measurement(lambda: _benchmark(arguments, sys.argv[1:] if argv is None else argv))


def _benchmark(arguments: argparse.Namespace, argv: list[str]) -> None:
    """Sample the documents, measure part by part, and report.

    Raises:
        DocsQAError: a part could not be measured.
    """
    load = os.getloadavg()[0]
    with _scratch(arguments) as run:
        sample = take_sample(
            arguments.input_data_path,
            Path(run.documents),
            arguments.megabytes * 1e6,
            print_progress,
        )
        print_progress(f"{sample.documents:,} documents, {sample.size / 1e6:.2f} MB, {run.model}")
        if load > 1:
            print_progress(f"The machine is busy (load {load:.1f}), which distorts the figures.")
        product, ours, parts = _measure_parts(run, sample, arguments)
    facts = machine_facts() | {
        "backend": product.backend,
        "precision": product.precision,
        "load_before": load,
    }
    _report(arguments, argv, parts, facts, sample, ours)


def _measure_parts(
    run: BenchmarkRun, sample: DocumentSample, arguments: argparse.Namespace
) -> tuple[MatrixRate, BuildFigures, Parts]:
    """Measure the builds, then the services; also returns the figures that the report states."""
    questions = heading_questions(Path(run.documents))
    print_progress("matrix rate of the machine ...")
    product = MatrixRate(**run_worker("matrix-rate", run))
    print_progress("our build ...")
    ours = BuildFigures(**run_worker("build", run))
    print_progress("our build again ...")
    start = time.perf_counter()
    run_worker("build", run)
    rebuild = time.perf_counter() - start
    print_progress("our service, then the original's build and service ...")
    original, service = measure_services(run, questions, arguments.requests)
    parts: Parts = {
        "build": build_measures(sample.size, ours, original, rebuild),
        "machine": matrix_measures(ours, product),
        "service": service,
    }
    with simulated_provider(run) as provider:
        print_progress("streaming ...")
        parts["streaming"] = measure_streaming(
            run,
            provider,
            questions,
            count=arguments.stream_questions,
            clients=arguments.stream_clients,
            seconds=arguments.stream_seconds,
        )
        print_progress("outage ...")
        parts["outage"] = measure_outage(
            run, provider, questions, arguments.outage_seconds, arguments.outage_timeout
        )
    return product, ours, parts


@contextmanager
def _scratch(arguments: argparse.Namespace) -> Iterator[BenchmarkRun]:
    """A temporary folder for everything that the run creates."""
    from database.embedding.model_finder import find_model, model_name_of
    from database.embedding.packaged_models import MINILM

    name = model_name_of(arguments.embedding_model_name)
    # The packaged MiniLM needs no folder; the folder in the settings may contain another model.
    path = None if name == MINILM else load_settings().embedding_model_path
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        folders = {part: f"{scratch}/{part}" for part in ("documents", "ours", "original", "logs")}
        for folder in folders.values():
            Path(folder).mkdir()
        yield BenchmarkRun(
            **folders,
            model=name,
            model_folder=str(find_model(name, path).folder.resolve()),
            first_token_seconds=arguments.first_token_seconds,
            tokens_per_second=arguments.tokens_per_second,
            answer_tokens=arguments.answer_tokens,
            matrix_rounds=arguments.matrix_rounds,
        )


def _report(
    arguments: argparse.Namespace,
    argv: list[str],
    parts: Parts,
    facts: dict[str, Any],
    sample: DocumentSample,
    ours: BuildFigures,
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
        "our_build": asdict(ours),
    }
    sys.stdout.write(f"{caption}\n\n{measures_table(parts)}\n")
    sections = [f"{measured}.", *measures_sections(parts)]
    write_report(arguments.output, "Benchmark", "utils.benchmark", argv, sections)
    arguments.output.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")
    if arguments.picture and not find_spec("matplotlib"):
        print_progress("No picture: it needs matplotlib (pip install -r requirements-dev.txt).")
    elif arguments.picture:
        draw_measures(arguments.picture, parts, caption)


def _work(name: str, run: BenchmarkRun, port: int) -> None:
    """Run a worker: a server, or a measurement that prints its figures as its last line."""
    if name in _SERVERS:
        _SERVERS[name](run, port)
        return
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    sys.stdout.write(f"\n{json.dumps(asdict(_MEASUREMENTS[name](run)))}\n")


_MEASUREMENTS: dict[str, Callable[[BenchmarkRun], BuildFigures | MatrixRate]] = {
    "matrix-rate": measure_matrix_rate,
    "build": build_ours,
}
_SERVERS = {"original": serve_original, "provider": serve_provider}


if __name__ == "__main__":
    sys.exit(main())
