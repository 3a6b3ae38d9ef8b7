"""Measures the build and the service: python ./utils/benchmark.py -d FOLDER.

In one run, on the same files and the same model: our build against the original's pipeline and
against the machine's own matrix rate; our service against the original's path from a question to
its passages; and many clients that wait for a slow language model.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# `python ./utils/benchmark.py` puts utils/ on the path and not the project's root.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from utils import benchmark_services as services
from utils.benchmark_builds import BuildFigures, build_original, build_ours
from utils.benchmark_machine import MatrixRates, machine_facts, measure_matrix_rates
from utils.benchmark_processes import Job, run_worker
from utils.benchmark_report import (
    Measure,
    Served,
    as_json,
    build_measures,
    draw,
    llm_measures,
    matrix_measures,
    service_measures,
    table,
)
from utils.errors import DocsQAError
from utils.settings import DEFAULT_DATASET, PROJECT_ROOT, load_settings

_MINILM = "sentence-transformers/all-MiniLM-L6-v2"

Parts = dict[str, list[Measure]]


@dataclass(frozen=True, slots=True)
class Sample:
    """The documents that are measured with."""

    documents: int
    size: int
    """Bytes."""


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    add = parser.add_argument
    add(
        "-d",
        "--input_data_path",
        type=Path,
        default=DEFAULT_DATASET,
        metavar="FOLDER",
        help="folder of markdown documents (default: dataset/sagemaker_documentation)",
    )
    add(
        "--megabytes",
        type=float,
        default=1.0,
        metavar="N",
        help="measure with an evenly spread sample of about so many megabytes; 0 takes all of "
        "them (default: %(default)g)",
    )
    add("--part", choices=["build", "service", "llm", "all"], default="all")
    add("-m", "--embedding_model_name", default=_MINILM, metavar="NAME")
    add("-o", "--output", type=Path, default=PROJECT_ROOT / "build" / "benchmark.json")
    add("--picture", type=Path, default=PROJECT_ROOT / "images" / "benchmark.png")
    add("--requests", type=int, default=400, help="a setting (default: %(default)s)")
    add("--llm_clients", type=int, default=64, help="default: %(default)s")
    add("--llm_seconds", type=float, default=5.0, help="for an answer (default: %(default)g)")
    add("--worker", choices=sorted(_WORKERS), help=argparse.SUPPRESS)
    add("--job", type=json.loads, help=argparse.SUPPRESS)
    add("--port", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.megabytes < 0 or min(arguments.requests, arguments.llm_clients) < 1:
        parser.error("--megabytes must be 0 or more, --requests and --llm_clients 1 or more")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Measure; 0 whatever the figures, 1 with one line where they could not be had."""
    arguments = parse_arguments(argv)
    try:
        if arguments.worker:
            _WORKERS[arguments.worker](Job(**arguments.job), arguments.port)
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
            arguments.input_data_path, Path(job.documents), arguments.megabytes * 1e6
        )
        _say(f"{sample.documents:,} documents, {sample.size / 1e6:.2f} MB, {job.model}")
        if load > 1:
            _say(f"The machine is busy (load {load:.1f}): the figures will suffer.")
        parts: Parts = {}
        rates, ours = _build(arguments, job, sample, parts)
        asked = services.questions(Path(job.documents))
        if arguments.part in ("service", "all"):
            parts["service"] = _serve(job, asked, arguments.requests)
        if arguments.part in ("llm", "all"):
            _say(f"{arguments.llm_clients} clients and a slow language model ...")
            figures = services.measure_llm(job, asked, arguments.llm_clients)
            parts["language model"] = llm_measures(figures)
    facts = machine_facts() | {
        "backend": rates.backend,
        "precision": rates.precision,
        "load_before": load,
    }
    _show(arguments, parts, facts, sample, ours)


@contextmanager
def _scratch(arguments: argparse.Namespace) -> Iterator[Job]:
    """A temporary folder for everything that the run makes."""
    from database.models import MINILM, find_model

    name = arguments.embedding_model_name
    # The packaged MiniLM needs no folder; the setting's may hold another model.
    path = None if name == MINILM else load_settings().embedding_model_path
    model = find_model(name, path)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as scratch:
        folders = [Path(scratch) / part for part in ("documents", "ours", "original", "logs")]
        for folder in folders:
            folder.mkdir()
        documents, ours, original, logs = map(str, folders)
        yield Job(
            documents=documents,
            ours=ours,
            original=original,
            logs=logs,
            model=name,
            model_folder=str(model.folder.resolve()),
            llm_seconds=arguments.llm_seconds,
        )


def take_sample(folder: Path, target: Path, limit: float) -> Sample:
    """Copy an evenly spread part of a folder's documents; always the same ones.

    Args:
        folder: The documents.
        target: Where to copy them.
        limit: About how many bytes; 0 for all.

    Raises:
        DatasetError: there are none.
    """
    from dataset.documents import load

    names = [document.name for document in load(folder, _say)]
    sizes = {name: (folder / name).stat().st_size for name in names}
    share = min(1.0, limit / sum(sizes.values())) if limit else 1.0
    taken = [name for at, name in enumerate(names) if int((at + 1) * share) > int(at * share)]
    taken = taken or names[:1]
    for name in taken:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target / name)
    return Sample(len(taken), sum(sizes[name] for name in taken))


def _build(
    arguments: argparse.Namespace, job: Job, sample: Sample, parts: Parts
) -> tuple[MatrixRates, BuildFigures]:
    """Build what the asked parts need; both indexes for comparing, only ours for the rest."""
    _say("the machine's matrix rate ...")
    rates = MatrixRates(**run_worker("matrix-rate", job))
    _say("our build ...")
    ours = BuildFigures(**run_worker("build", job))
    if arguments.part == "llm":
        return rates, ours
    _say("the original's build ...")
    original = BuildFigures(**run_worker("original-build", job))
    if arguments.part in ("build", "all"):
        _say("our build again ...")
        start = time.perf_counter()
        run_worker("build", job)
        seconds = time.perf_counter() - start
        parts["build"] = build_measures(sample.size, ours, original, seconds)
        parts["machine"] = matrix_measures(ours, rates)
    return rates, ours


def _serve(job: Job, asked: list[str], requests: int) -> list[Measure]:
    """Both services, one after the other."""

    def measured(address: str, send: services.Ask) -> dict[int, services.Latency]:
        return {
            clients: services.measure_latency(
                address, send, asked, clients=clients, requests=requests
            )
            for clients in services.CLIENTS
        }

    _say("our service ...")
    with services.our_service(job) as address:
        answers, searches = measured(address, services.ask), measured(address, services.search)
    _say("the original's service ...")
    with services.original_service(job) as address:
        originals = measured(address, services.ask)
    served = [Served("answer", n, answers[n], originals[n]) for n in services.CLIENTS]
    served += [Served("search alone", n, searches[n]) for n in services.CLIENTS]
    return service_measures(served)


def _show(
    arguments: argparse.Namespace,
    parts: Parts,
    facts: dict[str, Any],
    sample: Sample,
    ours: BuildFigures,
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
        "measures": as_json(parts),
        "our_build": asdict(ours),
    }
    try:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
        if not find_spec("matplotlib"):
            _say("No picture: it needs matplotlib (pip install -r requirements-dev.txt).")
        elif not parts.keys().isdisjoint(("build", "service")):
            draw(arguments.picture, parts, caption)
    except OSError as error:
        raise DocsQAError(f"Cannot write {error.filename} ({error.strerror}).") from error
    finally:
        sys.stdout.write(f"{caption}\n\n{table(parts)}\n")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _printing(measure: Callable[[Job], BuildFigures | MatrixRates]) -> Callable[[Job, int], None]:
    """A worker whose last line is its figures."""

    def worker(job: Job, port: int) -> None:
        logging.basicConfig(level=logging.ERROR, format="%(message)s")
        sys.stdout.write(f"\n{json.dumps(asdict(measure(job)))}\n")

    return worker


_WORKERS: dict[str, Callable[[Job, int], None]] = {
    "matrix-rate": _printing(measure_matrix_rates),
    "build": _printing(build_ours),
    "original-build": _printing(build_original),
    "original-service": services.serve_original,
    "llm": services.serve_llm,
}


if __name__ == "__main__":
    sys.exit(main())
