"""Shows that the service stays right while everything changes: python -m tests.endurance.

Searches and answers come in at a set rate for half an hour, while documents are added, replaced and
deleted, indexes are built and swapped, and workers, builder and Chroma are killed. A checker that
knows what should be found looks at every response.
"""

import argparse
import asyncio
import logging
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.endurance.checker import Checker
from tests.endurance.client import Client, client
from tests.endurance.folder import Folder
from tests.endurance.model import Model
from tests.endurance.report import as_text, judge_memory, lines, report
from tests.endurance.run import Run, first_build
from tests.endurance.system import System, running_system
from tests.endurance.windows import Windows
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
    add("--changes", type=float, default=0.5, help="of documents, a second (default: %(default)g)")
    add("--seed", type=int, default=1, help="of all that is random (default: %(default)s)")
    add(
        "--database",
        choices=["server", "embedded"],
        default="server",
        help="a Chroma server that two workers share, or a worker's own folder (default: server)",
    )
    add(
        "-d",
        "--input_data_path",
        type=Path,
        metavar="FOLDER",
        help="folder of markdown documents to begin with (default: made-up pages)",
    )
    add(
        "--pages",
        type=int,
        default=340,
        metavar="N",
        help="made-up pages that stay, where no folder is given (default: %(default)s)",
    )
    add("-o", "--output", type=Path, default=PROJECT_ROOT / "build" / "endurance.json")
    add("--logs", type=Path, metavar="FOLDER", help="where the processes' output is kept")
    arguments = parser.parse_args(argv)
    if min(arguments.minutes, arguments.rate, arguments.pages) <= 0 or arguments.changes < 0:
        parser.error("--minutes, --rate and --pages must be more than 0, --changes 0 or more")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run; 0 where nothing was wrong, 1 where something was or the run could not be had."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with _scratch(arguments) as job, simulated_provider(job) as provider:
            found = asyncio.run(_endure(arguments, job, provider))
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
def _scratch(arguments: argparse.Namespace) -> Iterator[BenchmarkRun]:
    """A temporary folder for everything that the run makes."""
    from database.embedding.model_finder import MINILM, find_model

    model = find_model(MINILM)
    with tempfile.TemporaryDirectory(prefix="endurance-") as scratch:
        folders = [Path(scratch) / part for part in ("documents", "index", "store", "logs")]
        folders[-1] = (arguments.logs or folders[-1]).absolute()
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        documents, index, store, logs = map(str, folders)
        server = f"http://127.0.0.1:{free_port()}"
        yield BenchmarkRun(
            documents=documents,
            ours=server if arguments.database == "server" else index,
            original=store,
            logs=logs,
            model=MINILM,
            model_folder=str(model.folder.resolve()),
            first_token_seconds=0.1,
            tokens_per_second=300.0,
            answer_tokens=60,
        )


async def _endure(
    arguments: argparse.Namespace, job: BenchmarkRun, provider: SimulatedProvider
) -> dict[str, Any]:
    """Fill the folder, build, start, play, look, and report."""
    windows = Windows()
    model = Model(windows)
    checker = Checker(model)
    rng = random.Random(f"{arguments.seed} folder")  # no secrets
    folder = Folder(Path(job.documents), model, rng)
    folder.fill(arguments.input_data_path, arguments.pages)
    asked = heading_questions(Path(job.documents)) if arguments.input_data_path else []
    async with running_system(job, provider, windows) as system, client() as http:
        _say(f"the first build, of {len(model.permanent):,} pages that stay and others ...")
        await first_build(system, folder)
        has_filters = await _has_filters(http, system)
        run = Run(
            system=system,
            checker=checker,
            client=http,
            folder=folder,
            seed=arguments.seed,
            questions=asked,
            has_documents=arguments.changes > 0,
            has_filters=has_filters,
            say=_say,
        )
        _say(f"{arguments.minutes:g} minutes at {arguments.rate:g} requests a second ...")
        await run.play(60 * arguments.minutes, arguments.rate, arguments.changes)
        seconds = time.perf_counter() - run.begun
        await run.finish()
    judge_memory(run)
    options = {n: v for n, v in vars(arguments).items() if isinstance(v, int | float | str)}
    return report(run, options, seconds)


async def _has_filters(http: Client, system: System) -> bool:
    """Whether a search can be held to one document, as the service says of itself."""
    said = await http.send("openapi", system.workers[0], "GET", "/openapi.json")
    return "filters" in said.body["components"]["schemas"]["SearchRequest"]["properties"]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
