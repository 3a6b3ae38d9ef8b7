"""The system under test: Chroma, workers and builders as processes that can be killed."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.endurance.windows import Windows, worker_window
from utils.benchmark.processes import BenchmarkRun, child, free_port
from utils.benchmark.provider import SimulatedProvider
from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT, is_server

ADMIN_KEY = "endurance-admin-key"
_START_SECONDS = 180.0
_STOP_SECONDS = 20.0
_BUILD_SECONDS = 900.0
_CHROMA = Path(sys.executable).with_name("chroma")
_BLANK = " "
"""An empty variable would let the one in .env through."""


@dataclass(slots=True)
class Service:
    """A server on a port that stays the same however often it is killed and started."""

    name: str
    command: Sequence[str]
    address: str
    ready: str
    """The path that answers with 200 once it is ready."""
    logs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    starts: int = 0
    process_id: int = 0
    """0 while it is away."""
    _process: "subprocess.Popen[bytes] | None" = None
    _ending: ExitStack = field(default_factory=ExitStack)

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            DocsQAError: it ended or did not get ready.
        """
        import httpx

        self.starts += 1
        log = self.logs / f"{self.name}-{self.starts}.log"
        process = self._ending.enter_context(child(self.command, log, self.environment))
        self._process = process
        deadline = time.monotonic() + _START_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DocsQAError(f"{self.name} did not start: {_last_line(log)}")
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.address}{self.ready}")).is_success:
                        break
                await asyncio.sleep(0.1)
        self.process_id = process.pid

    def kill(self) -> None:
        """Kill -9, as a machine that fails would."""
        self.process_id = 0
        self._ending.close()

    async def stop(self) -> None:
        """End it as an operator does; killed where it does not end by itself."""
        if self._process:
            self._process.terminate()
            await _ended(self._process, time.monotonic() + _STOP_SECONDS)
        self.kill()


@dataclass(frozen=True, slots=True)
class Built:
    """A run of the builder."""

    status: int
    """Negative where a signal ended it."""
    output: str
    process_id: int
    seconds: float

    @property
    def last_line(self) -> str:
        """What it said at the end."""
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else ""


@dataclass(slots=True)
class System:
    """Everything that runs."""

    job: BenchmarkRun
    windows: Windows
    store: Service | None
    """None where the index is a folder of the worker's."""
    workers: list[Service]
    builds: int = 0

    @property
    def database(self) -> str:
        """The index, as builder and workers are told of it."""
        return self.job.ours

    @property
    def up(self) -> list[Service]:
        """The workers that are not away."""
        return [worker for worker in self.workers if worker.process_id]

    async def build(
        self, *options: str, kill_after: float | None = None, folder: str | None = None
    ) -> Built:
        """Run the builder to its end, or kill it after so many seconds."""
        self.builds += 1
        log = Path(self.job.logs) / f"builder-{self.builds}.log"
        source = ("-d", folder or self.job.documents)
        model = ("-m", self.job.model, "-mp", self.job.model_folder)
        command = (sys.executable, "./utils/db_builder.py", "-db", self.database)
        begun = time.monotonic()
        limit = begun + (_BUILD_SECONDS if kill_after is None else kill_after)
        with child([*command, *source, *model, *options], log, self.environment) as process:
            await _ended(process, limit)
        output = log.read_text(errors="replace").replace("\r", "\n")
        return Built(process.returncode, output, process.pid, time.monotonic() - begun)

    @property
    def environment(self) -> dict[str, str]:
        """What builder and workers share."""
        # As the image and `make run` have it.
        heap = {"MALLOC_ARENA_MAX": "2"}
        return {"CHROMA_TOKEN": _BLANK, "EMBEDDING_DEVICE": "cpu"} | heap

    def kill_worker(self, worker: Service) -> None:
        """Kill it; from here on it is away."""
        self.windows.open(worker_window(worker.name), time.perf_counter())
        worker.kill()

    async def restart_worker(self, worker: Service) -> None:
        """Start it again; once it is ready it is back."""
        await worker.start()
        for window in self.windows.all:
            if window.kind == worker_window(worker.name):
                window.ended = min(window.ended, time.perf_counter())

    async def stop_workers(self) -> None:
        """End the workers as an operator does."""
        for worker in self.workers:
            self.windows.open(worker_window(worker.name), time.perf_counter())
            await worker.stop()

    def end(self) -> None:
        """Kill everything."""
        for service in (*self.workers, *([self.store] if self.store else [])):
            service.kill()


@asynccontextmanager
async def running_system(
    job: BenchmarkRun, provider: SimulatedProvider, windows: Windows
) -> AsyncIterator[System]:
    """Start the store where it is a server; nothing that was started outlives this."""
    system = make_system(job, provider, windows)
    try:
        if system.store:
            await system.store.start()
        yield system
    finally:
        system.end()


def make_system(job: BenchmarkRun, provider: SimulatedProvider, windows: Windows) -> System:
    """Two workers on a server, or one on a folder."""
    store = None
    if is_server(job.ours):
        port = job.ours.rpartition(":")[2]
        command = [str(_CHROMA), "run", "--path", job.original, "--port", port]
        store = Service("chroma", command, job.ours, "/api/v2/heartbeat", Path(job.logs))
    system = System(job, windows, store, [])
    names = ("first", "second") if store else ("first",)
    for name in names:
        port = str(free_port())
        command = [sys.executable, "-m", "inference_worker"]
        environment = (
            system.environment
            | provider.settings
            | {
                "ADMIN_KEY": ADMIN_KEY,
                "DATABASE": job.ours,
                "HOST": "127.0.0.1",
                "PORT": port,
                "EMBEDDING_MODEL_NAME": job.model,
                "EMBEDDING_MODEL_PATH": job.model_folder,
                "MIN_CONFIDENCE": "0",  # a language model writes every answer
            }
        )
        address = f"http://127.0.0.1:{port}"
        system.workers.append(
            Service(name, command, address, "/readyz", Path(job.logs), environment)
        )
    return system


async def _ended(process: "subprocess.Popen[bytes]", limit: float) -> None:
    """Wait for a process, but not longer than to a moment."""
    while process.poll() is None and time.monotonic() < limit:  # noqa: ASYNC110  # it tells nobody
        await asyncio.sleep(0.05)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].replace(str(PROJECT_ROOT), "") if lines else "it said nothing"
