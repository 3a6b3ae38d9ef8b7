"""The system under test: Chroma, workers and commands as processes that can be killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.endurance.checker.windows import Windows, worker_window
from utils.benchmark.processes import BenchmarkRun, child, free_port, wait_until_ready
from utils.benchmark.services import UNLIMITED
from utils.settings import is_server

ADMIN_KEY = "endurance-admin-key"
_STOP_SECONDS = 20.0
_COMMAND_SECONDS = 900.0
_CHROMA = Path(sys.executable).with_name("chroma")
_BLANK = " "
"""Overrides the variable in .env, which an empty one would not."""


@dataclass(slots=True)
class Service:
    """A server that can be killed and restarted; its port stays the same."""

    name: str
    command: Sequence[str]
    address: str
    ready: str
    """The path of its readiness check."""
    logs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    starts: int = 0
    process_id: int = 0
    """0 while it is down."""
    _process: "subprocess.Popen[bytes] | None" = None
    _cleanup: ExitStack = field(default_factory=ExitStack)

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DocsQAError: it exited, or was not ready in time.
        """
        self.starts += 1
        log = self.logs / f"{self.name}-{self.starts}.log"
        process = self._cleanup.enter_context(child(self.command, log, self.environment))
        self._process = process
        url = f"{self.address}{self.ready}"
        await asyncio.to_thread(wait_until_ready, process, self.name, log, url)
        self.process_id = process.pid

    def kill(self) -> None:
        """Kill it with SIGKILL, as a crash of the machine would."""
        self.process_id = 0
        self._cleanup.close()

    async def stop(self) -> None:
        """Stop it with SIGTERM, and with SIGKILL if it does not exit in time."""
        if self._process:
            self._process.terminate()
            await _exited(self._process, time.monotonic() + _STOP_SECONDS)
        self.kill()


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command of this project, run to its end or killed."""

    status: int
    """Negative if a signal ended it."""
    output: str
    process_id: int
    seconds: float

    @property
    def last_line(self) -> str:
        """The last line of its output."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(slots=True)
class System:
    """All processes of one run."""

    benchmark_run: BenchmarkRun
    windows: Windows
    store: Service | None
    """None if the index is a folder of the worker."""
    workers: list[Service]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings of commands and workers."""
    commands: int = 0

    @property
    def database(self) -> str:
        """The folder or URL of the index."""
        return self.benchmark_run.ours

    @property
    def up(self) -> list[Service]:
        """The workers that are running."""
        return [worker for worker in self.workers if worker.process_id]

    async def build(
        self, *options: str, kill_after: float | None = None, model: str = ""
    ) -> CommandResult:
        """Build the index from the documents, with the model of the run or another one.

        Kills the builder after `kill_after` seconds.
        """
        run = self.benchmark_run
        return await self.run(
            "./utils/db_builder.py",
            *("-db", self.database, "-d", run.documents, "-m", model or run.model),
            *options,
            kill_after=kill_after,
        )

    async def run(self, *arguments: str, kill_after: float | None = None) -> CommandResult:
        """Run a Python command of this project."""
        self.commands += 1
        log = Path(self.benchmark_run.logs) / f"command-{self.commands}.log"
        begun = time.monotonic()
        limit = begun + (_COMMAND_SECONDS if kill_after is None else kill_after)
        with child([sys.executable, *arguments], log, self.environment) as process:
            await _exited(process, limit)
            seconds = time.monotonic() - begun
        output = log.read_text(errors="replace").replace("\r", "\n")
        return CommandResult(process.returncode, output, process.pid, seconds)

    def kill_worker(self, worker: Service) -> None:
        """Kill a worker; opens its window."""
        self.windows.open(worker_window(worker.name), time.perf_counter())
        worker.kill()

    async def restart_worker(self, worker: Service) -> None:
        """Start a worker again; closes its window once it is ready."""
        await worker.start()
        for window in self.windows.all:
            if window.kind == worker_window(worker.name):
                window.ended = min(window.ended, time.perf_counter())

    async def stop_workers(self) -> None:
        """Stop the workers with SIGTERM."""
        for worker in self.workers:
            self.windows.open(worker_window(worker.name), time.perf_counter())
            await worker.stop()

    def end(self) -> None:
        """Kill everything."""
        for service in (*self.workers, *([self.store] if self.store else [])):
            service.kill()


@asynccontextmanager
async def running_system(
    run: BenchmarkRun, windows: Windows, environment: Mapping[str, str]
) -> AsyncIterator[System]:
    """Start the Chroma server, if there is one; kills every process at the end."""
    system = make_system(run, windows, environment)
    try:
        if system.store:
            await system.store.start()
        yield system
    finally:
        system.end()


def make_system(run: BenchmarkRun, windows: Windows, environment: Mapping[str, str]) -> System:
    """Two workers on a Chroma server, or one on a folder."""
    settings = {
        "ADMIN_KEY": ADMIN_KEY,
        "CHROMA_TOKEN": _BLANK,
        "DATABASE": run.ours,
        "EMBEDDING_DEVICE": "cpu",
        "EMBEDDING_MODEL_NAME": run.model,
        "EMBEDDING_MODEL_PATH": run.model_folder,
        "HOST": "127.0.0.1",
        "MALLOC_ARENA_MAX": "2",  # as the image and `make run` set it
        "MIN_CONFIDENCE": "0",  # every question reaches the language model
        "ADDRESS_LIMITS": UNLIMITED,
        **environment,
    }
    store = chroma_server("chroma", run.original, run) if is_server(run.ours) else None
    workers = []
    for name in ("first", "second") if store else ("first",):
        port = str(free_port())
        command = [sys.executable, "-m", "inference_worker"]
        address = f"http://127.0.0.1:{port}"
        own = settings | {"PORT": port}
        workers.append(Service(name, command, address, "/readyz", Path(run.logs), own))
    return System(run, windows, store, workers, settings)


def chroma_server(name: str, folder: str, run: BenchmarkRun, address: str = "") -> Service:
    """A Chroma server on a folder, by default at the address of the run's index."""
    address = address or run.ours
    command = [str(_CHROMA), "run", "--path", folder, "--port", address.rpartition(":")[2]]
    return Service(name, command, address, "/api/v2/heartbeat", Path(run.logs))


async def _exited(process: "subprocess.Popen[bytes]", limit: float) -> None:
    """Wait until a process exits, at most until `limit` on time.monotonic's clock."""
    while process.poll() is None and time.monotonic() < limit:  # noqa: ASYNC110  # no event to await
        await asyncio.sleep(0.05)
