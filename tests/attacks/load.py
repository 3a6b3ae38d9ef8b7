"""Overloads the service: python -m tests.attacks.load DATABASE.

Starts the service on an index, and measures the peak of each route: requests a second that are
answered for clients who wait for each response. Then sends requests at multiples of it, whether or
not the earlier ones were answered (an open loop), and reports for each load the goodput (responses
within --patience), latency, refusals, memory, and how soon after it a single request is answered as
fast as before. Goodput is compared with the mean of the peaks before and after the loads. With
--code, measures the service of another checkout, and with --compare, shows its figures in the
picture.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from dataset.markdown.writer import pipe_table
from tests.attacks.load_client import HttpClient, Outcomes, closed_loop, open_loop, recovery, timed
from tests.attacks.load_picture import draw_loads
from utils.benchmark.processes import BenchmarkRun, RunningServer, free_port, running_server
from utils.benchmark.provider import simulated_provider
from utils.benchmark.services import NO_KEY, UNLIMITED
from utils.errors import DocsQAError
from utils.figures import percentile, print_progress, run_measurement
from utils.settings import PROJECT_ROOT


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked."""

    path: str
    parameter: str
    clients: int
    """As many as reach the peak; a language model takes its time."""
    is_written: bool = False
    """Whether a language model writes the answers: a stand-in, which takes a second."""


ROUTES = {
    "searches": Route("/v1/search", "query", 8),
    "quoted answers": Route("/v1/answers", "question", 8),
    "written answers": Route("/v1/answers", "question", 64, is_written=True),
}
WARM_UP_SECONDS = 5.0
PEAK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What became of one load; rates per second, times in milliseconds."""

    factor: float
    """Of the peak."""
    offered: float
    goodput: float
    p50: float | None
    p99: float | None
    refused: int
    refusals_p99: float | None
    other: dict[str, int]
    mib_before: int
    mib_after: int
    normal_after_seconds: float
    goodput_of_peak: float = 0.0
    """Goodput as a share of the peak; known when all loads were measured."""


@contextmanager
def running_service(code: Path, database: str, route: Route, logs: str) -> Iterator[RunningServer]:
    """The service of a checkout, with the stand-in for a language model if the route needs it."""
    run = BenchmarkRun(
        documents="",
        ours=database,
        original="",
        model="",
        model_folder="",
        logs=logs,
        first_token_seconds=0.3,
        tokens_per_second=100.0,
        answer_tokens=71,
    )
    with simulated_provider(run) if route.is_written else nullcontext() as provider:
        settings = {
            "DATABASE": database,
            "ANSWER_CACHE_SIZE": "0",
            "MIN_CONFIDENCE": "0",
            "MALLOC_ARENA_MAX": "2",  # as in `make run`
            "ADDRESS_LIMITS": UNLIMITED,
        }
        settings |= provider.settings if provider else {"MISTRAL_API_KEY": NO_KEY}
        port = free_port()
        command = [sys.executable, "-m", "inference_worker", "--port", str(port)]
        with running_server("service", command, port, run, settings, folder=code) as service:
            yield service


def memory(process: int) -> int:
    """Resident memory of a process and its children, in MiB."""
    folder = Path(f"/proc/{process}")
    fields = (folder / "status").read_text().partition("VmRSS:")[2].split(maxsplit=1)
    children = " ".join(each.read_text() for each in folder.glob("task/*/children")).split()
    return (int(fields[0]) >> 10) + sum(memory(int(each)) for each in children)


async def measure(
    service: RunningServer, route: Route, arguments: argparse.Namespace
) -> list[LoadFigures]:
    """Measure the peak, and each load as a multiple of it."""
    client = HttpClient(service.address, route.path, route.parameter)
    patience, seconds = arguments.patience, arguments.seconds
    await closed_loop(client, 4, WARM_UP_SECONDS, patience)
    alone = Outcomes()
    for _ in range(20):
        await timed(client.ask, alone, patience)
    normal = percentile(alone.served, 0.5)
    found: list[LoadFigures] = []
    measure_peak = partial(closed_loop, client, route.clients, min(seconds, PEAK_SECONDS), patience)
    peak = await measure_peak()
    for factor in arguments.factors:
        before = memory(service.process_id)
        outcomes = await open_loop(client, factor * peak, seconds, patience)
        normal_after = await recovery(client, normal)
        found.append(
            LoadFigures(
                factor=factor,
                offered=factor * peak,
                goodput=len(outcomes.served) / seconds,
                p50=_milliseconds(outcomes.served, 0.5),
                p99=_milliseconds(outcomes.served, 0.99),
                refused=len(outcomes.refused),
                refusals_p99=_milliseconds(outcomes.refused, 0.99),
                other=dict(outcomes.other),
                mib_before=before,
                mib_after=memory(service.process_id),
                normal_after_seconds=normal_after,
            )
        )
        print_progress(str(found[-1]))
    peak = (peak + await measure_peak()) / 2
    return [replace(each, goodput_of_peak=each.goodput / peak) for each in found]


def _milliseconds(seconds: list[float], share: float) -> float | None:
    return 1000 * percentile(seconds, share) if seconds else None


def table(figures: list[LoadFigures]) -> str:
    """The figures as a markdown table."""
    rows = [["offered /s", "goodput /s", "of the peak", "p50 ms", "p99 ms", "refused",
             "p99 of refusals ms", "other", "MiB before, after", "normal after s"]]  # fmt: skip
    for each in figures:
        times = [each.p50, each.p99, each.refusals_p99]
        p50, p99, refusals = ("-" if each is None else f"{each:.0f}" for each in times)
        rows.append([
            f"{each.offered:.0f} ({each.factor:g} x)", f"{each.goodput:.1f}",
            f"{each.goodput_of_peak:.2f}", p50, p99,
            str(each.refused), refusals,
            ", ".join(f"{count} {name}" for name, count in each.other.items()) or "none",
            f"{each.mib_before}, {each.mib_after}", f"{each.normal_after_seconds:.1f}",
        ])  # fmt: skip
    return pipe_table(rows)


def attack(arguments: argparse.Namespace) -> None:
    """Measure each route on a service of its own; print tables, write figures and picture.

    Raises:
        DocsQAError: there is no index, or a service did not start.
    """
    if not arguments.database.is_dir():
        raise DocsQAError(f"No index at {arguments.database}. Build it: make index")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[LoadFigures]] = {}
    with tempfile.TemporaryDirectory(prefix="load-") as scratch:
        for name in arguments.routes:
            database = f"{scratch}/index"
            shutil.copytree(arguments.database, database)
            print_progress(f"{name} ...")
            with running_service(arguments.code, database, ROUTES[name], scratch) as service:
                found[name] = asyncio.run(measure(service, ROUTES[name], arguments))
            shutil.rmtree(database)
            sys.stdout.write(f"\n{name}:\n\n{table(found[name])}\n")
    figures = {name: [asdict(each) for each in loads] for name, loads in found.items()}
    if arguments.output:
        arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.picture:
        before = json.loads(arguments.compare.read_text()) if arguments.compare else {}
        draw_loads(arguments.picture, before, figures)


def main() -> int:
    """Overload the service; 0 whatever the figures, 1 with one line if it does not start."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.load", description=__doc__)
    add = parser.add_argument
    add("database", type=Path, help="folder of an index; a copy of it is served")
    add("--code", type=Path, default=PROJECT_ROOT, help="checkout whose service is measured")
    add("--routes", choices=ROUTES, nargs="+", default=list(ROUTES))
    add("--factors", type=float, nargs="+", default=[0.5, 1, 2, 5, 10], help="times the peak")
    add("--seconds", type=float, default=30.0, help="per load (default: %(default)g)")
    add("--patience", type=float, default=10.0, help="seconds that a client waits")
    add("-o", "--output", type=Path, help="write the figures as JSON")
    add("--picture", type=Path, help="draw the figures")
    add("--compare", type=Path, help="figures of an earlier run, drawn beside them")
    arguments = parser.parse_args()
    return run_measurement(lambda: attack(arguments))


if __name__ == "__main__":
    sys.exit(main())
