"""Measures the build and the service: python -m utils.benchmark -d FOLDER.

In one run, on the same files and the same model: our build against the original's pipeline and
against the machine's own matrix rate; our service against the original's path from a question to
its passages; many clients that wait for a slow language model; with a simulated provider of one,
answers streamed to one client and to many, and outages of the provider; another model beside the
first.
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
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from utils.benchmark import services
from utils.benchmark.answers import measure_streaming, streaming_measures
from utils.benchmark.arguments import MODELS, chosen_parts, parse_benchmark_arguments
from utils.benchmark.builds import BuildFigures, build_original, build_ours
from utils.benchmark.failures import failures_measures, measure_failures
from utils.benchmark.machine import MatrixRates, measure_matrix_rates
from utils.benchmark.models import QuestionFigures, compare_models, embed_questions
from utils.benchmark.outage import measure_outage, outage_measures
from utils.benchmark.processes import BenchmarkRun, run_worker
from utils.benchmark.provider import serve_provider
from utils.benchmark.report import (
    Measure,
    Served,
    build_measures,
    draw_measures,
    llm_measures,
    matrix_measures,
    measures_as_json,
    measures_table,
    service_measures,
)
from utils.benchmark.sample import DocumentSample, heading_questions, take_sample
from utils.benchmark.streams import measure_streams, streams_measures
from utils.errors import DocsQAError
from utils.figures import machine_facts
from utils.settings import load_settings

Parts = dict[str, list[Measure]]


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 whatever the figures, 1 with one line where they could not be had."""
    arguments = parse_benchmark_arguments(__doc__, argv)
    try:
        if arguments.worker:
            _WORKERS[arguments.worker](BenchmarkRun(**arguments.job), arguments.port)
            return 0
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        benchmark(arguments)
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return 130
    return 0


def benchmark(arguments: argparse.Namespace) -> None:
    """Sample, measure part by part, and show.

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
            _say(f"The machine is busy (load {load:.1f}): the figures will suffer.")
        parts: Parts = {}
        rates, ours = _build(arguments, job, sample, parts)
        asked = heading_questions(Path(job.documents))
        for part, (title, measure) in _SERVED.items():
            if part in chosen_parts(arguments):
                parts[title] = measure(arguments, job, asked)
    facts = machine_facts() | {
        "backend": rates.backend,
        "precision": rates.precision,
        "load_before": load,
    }
    _show(arguments, parts, facts, sample, ours)


@contextmanager
def _scratch(arguments: argparse.Namespace) -> Iterator[BenchmarkRun]:
    """A temporary folder for everything that the run makes."""
    from database.embedding.model_finder import MINILM, find_model, named

    name, other = named(arguments.embedding_model_name), named(arguments.other_model)
    # The packaged MiniLM needs no folder; the setting's may hold another model.
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
    """Build what the asked parts need; both indexes for comparing, only ours for the rest.

    The part that compares two models builds its own.
    """
    _say("the machine's matrix rate ...")
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


def _serve(arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]) -> list[Measure]:
    """Both services, one after the other."""

    def measured(address: str, send: services.PostQuestion) -> dict[int, services.Latency]:
        return {
            clients: services.measure_latency(
                address, send, asked, clients=clients, requests=arguments.requests
            )
            for clients in services.CLIENTS
        }

    _say("our service ...")
    with services.our_service(job) as ours:
        answers, searches = (
            measured(ours.address, services.post_question),
            measured(ours.address, services.post_search),
        )
    _say("the original's service ...")
    with services.original_service(job) as original:
        originals = measured(original.address, services.post_question)
    served = [Served("answer", n, answers[n], originals[n]) for n in services.CLIENTS]
    served += [Served("search alone", n, searches[n]) for n in services.CLIENTS]
    return service_measures(served)


def _wait_for_llm(
    arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]
) -> list[Measure]:
    clients, seconds = arguments.llm_clients, arguments.llm_seconds
    _say(f"{clients} clients and a slow language model ...")
    return llm_measures(services.measure_llm(job, asked, clients, seconds))


def _stream_to_one(
    arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]
) -> list[Measure]:
    _say(
        f"answers streamed to one client; the simulated provider begins after "
        f"{job.first_token_seconds:g} s and writes {job.answer_tokens} tokens, "
        f"{job.tokens_per_second:g} a second ..."
    )
    return streaming_measures(job, measure_streaming(job, asked, arguments.stream_questions))


def _stream_to_many(
    arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]
) -> list[Measure]:
    clients, seconds = arguments.stream_clients, arguments.stream_seconds
    _say(
        f"answers streamed to {clients} clients for {seconds:g} s; service, clients and simulated "
        f"provider share {os.cpu_count()} cores ..."
    )
    return streams_measures(job, measure_streams(job, asked, clients, seconds))


def _outage(arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]) -> list[Measure]:
    seconds, timeout = arguments.outage_seconds, arguments.outage_timeout
    _say(f"outages, with INFERENCE_TIMEOUT and BREAKER_SECONDS at {timeout:g} s ...")
    figures = measure_outage(job, asked, seconds, timeout)
    _say("each way in which a language model can fail ...")
    failures = measure_failures(job, asked, timeout)
    return outage_measures(figures) + failures_measures(failures)


def _models(arguments: argparse.Namespace, job: BenchmarkRun, asked: list[str]) -> list[Measure]:
    return compare_models(job, _say)


def _show(
    arguments: argparse.Namespace,
    parts: Parts,
    facts: dict[str, Any],
    sample: DocumentSample,
    ours: BuildFigures | None,
) -> None:
    caption = (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['backend']} {facts['precision']}; "
        f"{sample.size / 1e6:.2f} MB in {sample.documents:,} documents, "
        f"{arguments.embedding_model_name}"
    )
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": facts,
        "model": arguments.embedding_model_name,
        "sample": asdict(sample),
        "settings": _settings(arguments),
        "measures": measures_as_json(parts),
        "our_build": asdict(ours) if ours else None,
    }
    try:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
        if not find_spec("matplotlib"):
            _say("No picture: it needs matplotlib (pip install -r requirements-dev.txt).")
        elif not parts.keys().isdisjoint(("build", "service")):
            draw_measures(arguments.picture, parts, caption)
    except OSError as error:
        raise DocsQAError(f"Cannot write {error.filename} ({error.strerror}).") from error
    finally:
        sys.stdout.write(f"{caption}\n\n{measures_table(parts)}\n")


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the figures were measured with: the options that are numbers."""
    options = vars(arguments).items()
    return {n: value for n, value in options if isinstance(value, int | float) and n != "port"}


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _printing(
    measure: Callable[[BenchmarkRun], BuildFigures | MatrixRates | QuestionFigures],
) -> Callable[[BenchmarkRun, int], None]:
    """A worker whose last line is its figures."""

    def worker(job: BenchmarkRun, port: int) -> None:
        logging.basicConfig(level=logging.ERROR, format="%(message)s")
        sys.stdout.write(f"\n{json.dumps(asdict(measure(job)))}\n")

    return worker


_WORKERS: dict[str, Callable[[BenchmarkRun, int], None]] = {
    "matrix-rate": _printing(measure_matrix_rates),
    "build": _printing(build_ours),
    "original-build": _printing(build_original),
    "questions": _printing(embed_questions),
    "original-service": services.serve_original,
    "provider": serve_provider,
}

_SERVED: dict[
    str, tuple[str, Callable[[argparse.Namespace, BenchmarkRun, list[str]], list[Measure]]]
] = {
    "service": ("service", _serve),
    "llm": ("language model", _wait_for_llm),
    "streaming": ("streaming", _stream_to_one),
    "streams": ("streams", _stream_to_many),
    "outage": ("outage", _outage),
    MODELS: ("models", _models),
}
"""The parts that ask a service: the title and what measures it."""


if __name__ == "__main__":
    sys.exit(main())
