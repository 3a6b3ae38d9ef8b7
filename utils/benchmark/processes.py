"""Child processes that end with the benchmark.

Each pipeline runs in its own process, to measure its own peak memory. Each child gets its own
process group: Ctrl-C reaches only the benchmark, which then kills them all.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from utils.errors import DocsQAError
from utils.settings import PROJECT_ROOT

_START_SECONDS = 180.0
"""The timeout for a server to become ready."""


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """What the processes of one run share: folders, models and the pace of the provider."""

    documents: str
    """The folder that both pipelines read."""
    ours: str
    """Folder or URL of our index."""
    original: str
    """Folder of the original's index."""
    model: str
    model_folder: str
    logs: str
    first_token_seconds: float = 0.5
    """The simulated provider's delay before the first token of an answer."""
    tokens_per_second: float = 60.0
    answer_tokens: int = 120
    matrix_rounds: int = 5
    other_model: str = ""
    """A second model, to switch to."""
    other_model_folder: str = ""

    @property
    def answer_seconds(self) -> float:
        """The simulated provider's time for a whole answer."""
        return self.first_token_seconds + (self.answer_tokens - 1) / self.tokens_per_second


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is ready for requests."""

    address: str
    process_id: int


def worker_command(name: str, run: BenchmarkRun, port: int = 0) -> list[str]:
    """The command that runs one of the benchmark's own workers."""
    spec = json.dumps(asdict(run))
    command = (sys.executable, "-m", "utils.benchmark")
    return [*command, "--worker", name, "--run", spec, "--port", str(port)]


def run_worker(name: str, run: BenchmarkRun) -> dict[str, Any]:
    """Run a worker to its end; returns the JSON object in the last line of its output.

    Raises:
        DocsQAError: it failed.
    """
    log = Path(run.logs) / f"{name}.log"
    with child(worker_command(name, run), log) as process:
        if process.wait() != 0:
            raise process_error(name, log)
    figures: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    return figures


@contextmanager
def running_server(
    name: str,
    command: Sequence[str],
    port: int,
    run: BenchmarkRun,
    environment: Mapping[str, str],
    seconds: float = _START_SECONDS,
    folder: Path = PROJECT_ROOT,
) -> Iterator[RunningServer]:
    """Run a server in a folder; yields it once it is ready, and kills it at the end.

    Raises:
        DocsQAError: it exited, or was not ready in time.
    """
    log = Path(run.logs) / f"{name}.log"
    address = f"http://127.0.0.1:{port}"
    with child(command, log, environment, folder) as process:
        wait_until_ready(process, name, log, f"{address}/readyz", seconds)
        yield RunningServer(address, process.pid)


def wait_until_ready(
    process: subprocess.Popen[bytes],
    name: str,
    log: Path,
    url: str,
    seconds: float = _START_SECONDS,
) -> None:
    """Wait until a server's readiness check answers with 200.

    Raises:
        DocsQAError: the process exited, or was not ready in time.
    """
    import httpx

    deadline = time.monotonic() + seconds
    with httpx.Client(trust_env=False, timeout=5) as client:
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise process_error(name, log)
            with contextlib.suppress(httpx.TransportError):
                if client.get(url).is_success:
                    return
            time.sleep(0.05)


@contextmanager
def child(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = PROJECT_ROOT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with its output in a file; kills it and its children at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own commands
            command,
            cwd=folder,
            env=os.environ | _QUIET | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


_QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "HF_HUB_OFFLINE": "1",
    "NO_PROXY": "127.0.0.1",  # the simulated provider is local
    "TRANSFORMERS_VERBOSITY": "error",
}


def free_port() -> int:
    """An unused port of the loopback interface."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def peak_memory() -> int:
    """The peak memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def process_error(name: str, log: Path) -> DocsQAError:
    """The error for a process that failed, with the last line of its output."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1].replace(str(PROJECT_ROOT), "") if lines else "no output"
    return DocsQAError(f"The process {name!r} failed: {last}")
