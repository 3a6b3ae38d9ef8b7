"""Checks that the service stays correct while everything changes: python -m tests.endurance.

For half an hour it sends searches and questions at a set rate while it adds, replaces and deletes
documents, builds and switches indexes, and kills workers, builders and Chroma. A checker knows
what each response may contain. With --measure nothing is killed: it measures how long document
changes, a sync, a switch of the embedding model and a snapshot take under the same load.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.model import Model
from tests.endurance.checker.windows import Windows
from tests.endurance.documents.folder import Folder
from tests.endurance.measure import Measurement, export_models, measure_settings
from tests.endurance.report import as_text, check_memory, lines, report
from tests.endurance.run import Run, first_build
from tests.endurance.system.client import Client, client
from tests.endurance.system.processes import System, running_system
from utils.benchmark.processes import BenchmarkRun, free_port
from utils.benchmark.provider import SimulatedProvider, simulated_provider
from utils.benchmark.sample import heading_questions
from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line; paths are relative to the current directory."""
    parser = argparse.ArgumentParser(prog="endurance", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="default: %(default)g")
    add("--rate", type=float, default=20.0, help="requests a second (default: %(default)g)")
    add("--changes", type=float, default=0.5, help="documents a second (default: %(default)g)")
    add("--seed", type=int, default=1, help="of all random choices (default: %(default)s)")
    add(
        "--database",
        choices=["server", "embedded"],
        default="server",
        help="a Chroma server shared by two workers, or the folder of one worker (default: server)",
    )
    add(
        "-d",
        "--input_data_path",
        type=Path,
        metavar="FOLDER",
        help="folder of markdown documents to start with (default: generated pages)",
    )
    add(
        "--pages",
        type=int,
        default=340,
        metavar="N",
        help="generated pages that never change, without -d (default: %(default)s)",
    )
    add("-o", "--output", type=Path, default=PROJECT_ROOT / "build" / "endurance.json")
    add("--logs", type=Path, metavar="FOLDER", help="keep the output of all processes here")
    _add_measure(parser)
    arguments = parser.parse_args(argv)
    if min(arguments.minutes, arguments.rate, arguments.pages) <= 0 or arguments.changes < 0:
        parser.error("--minutes, --rate and --pages must be more than 0, --changes 0 or more")
    if arguments.measure and arguments.database == "embedded":
        parser.error("--measure needs two workers: --database server")
    if arguments.measured_changes < 1 or arguments.calm_seconds <= 0:
        parser.error("--measured_changes must be 1 or more, --calm_seconds more than 0")
    return arguments


def _add_measure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("measurement").add_argument
    add("--measure", action="store_true", help="measure changes and switches; kill nothing")
    add(
        "--other_model",
        default="",
        metavar="NAME",
        help="switch to this model and back (default: the first without its last layer)",
    )
    add(
        "--measured_changes",
        type=int,
        default=20,
        metavar="N",
        help="documents added, replaced and deleted one by one (default: %(default)s)",
    )
    add(
        "--calm_seconds",
        type=float,
        default=5.0,
        metavar="N",
        help="with requests alone, as the baseline of the latencies (default: %(default)g)",
    )


def main(argv: list[str] | None = None) -> int:
    """Run; 0 without violations, 1 with some or if the run failed."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with _scratch(arguments) as (run, scratch), simulated_provider(run) as provider:
            found = asyncio.run(_endure(arguments, run, provider, scratch))
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(as_text(found))
    except OSError as error:
        sys.stderr.write(f"Cannot write {error.filename} ({error.strerror}).\n")
        return 1
    except DocsQAError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing was written.\n")
        return 130
    sys.stdout.write(f"{lines(found)}\n")
    return 1 if found["violations"] else 0


@contextmanager
def _scratch(arguments: argparse.Namespace) -> Iterator[tuple[BenchmarkRun, Path]]:
    """A temporary folder for everything that the run creates."""
    from database.embedding.model_finder import find_model, model_name_of
    from database.embedding.packaged_models import MINILM

    other = model_name_of(arguments.other_model)
    with tempfile.TemporaryDirectory(prefix="endurance-") as scratch:
        folders = [Path(scratch) / part for part in ("documents", "index", "store", "logs")]
        folders[-1] = (arguments.logs or folders[-1]).absolute()
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        documents, index, store, logs = map(str, folders)
        server = f"http://127.0.0.1:{free_port()}"
        run = BenchmarkRun(
            documents=documents,
            ours=server if arguments.database == "server" else index,
            original=store,
            logs=logs,
            model=MINILM,
            model_folder=str(find_model(MINILM).folder.resolve()),
            other_model=other,
            other_model_folder=str(find_model(other).folder.resolve()) if other else "",
            first_token_seconds=0.1,
            tokens_per_second=300.0,
            answer_tokens=60,
        )
        yield run, Path(scratch)


async def _endure(
    arguments: argparse.Namespace,
    benchmark_run: BenchmarkRun,
    provider: SimulatedProvider,
    scratch: Path,
) -> dict[str, Any]:
    """Fill the folder, build, start, run or measure, check, and report."""
    windows = Windows()
    model = Model(windows)
    rng = random.Random(f"{arguments.seed} folder")  # no secrets
    folder = Folder(Path(benchmark_run.documents), model, rng)
    folder.fill(arguments.input_data_path, arguments.pages)
    asked = heading_questions(Path(benchmark_run.documents)) if arguments.input_data_path else []
    settings = dict(provider.settings)
    figures: dict[str, float] = {}
    if arguments.measure:
        settings |= measure_settings(benchmark_run, scratch)
    async with running_system(benchmark_run, windows, settings) as system, client() as http:
        if arguments.measure:
            await export_models(system, scratch)
        _say(f"the first build, of {len(model.permanent):,} permanent and other pages ...")
        built = await first_build(system, folder)
        run = Run(
            system=system,
            checker=Checker(model),
            client=http,
            folder=folder,
            seed=arguments.seed,
            questions=asked,
            has_documents=arguments.changes > 0,
            has_filters=await _has_filters(http, system),
            say=_say,
        )
        if arguments.measure:
            _say(f"measuring at {arguments.rate:g} requests a second ...")
            measurement = Measurement(run, arguments.measured_changes, arguments.calm_seconds)
            await measurement.measure(arguments.rate, built, scratch)
            figures = measurement.figures
        else:
            _say(f"{arguments.minutes:g} minutes at {arguments.rate:g} requests a second ...")
            await run.play(60 * arguments.minutes, arguments.rate, arguments.changes)
        await run.finish()
    check_memory(run)
    options = {n: v for n, v in vars(arguments).items() if isinstance(v, int | float | str)}
    return report(run, options, figures)


async def _has_filters(http: Client, system: System) -> bool:
    """True if the OpenAPI schema of the service lists search filters."""
    schema = await http.send("openapi", system.workers[0], "GET", "/openapi.json")
    return "filters" in schema.body["components"]["schemas"]["SearchRequest"]["properties"]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
