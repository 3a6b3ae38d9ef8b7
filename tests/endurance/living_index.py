"""The index that lives: a Chroma server, two workers on it, and the commands that change it."""

import asyncio
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from utils.benchmark.processes import BenchmarkRun, Running, child, failed, free_port, server

ADMIN_KEY = "benchmark-admin-key"
_CHROMA = Path(sys.executable).with_name("chroma")
_BLANK = " "
"""An empty variable would let the one in .env through; a blank one is none."""
_EMBEDDED = re.compile(r"([\d,]+) chunks, ([\d,]+) of them embedded now")


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ran to its end."""

    seconds: float
    output: str


@dataclass(frozen=True, slots=True)
class Built:
    """A run of the builder."""

    seconds: float
    """Of the whole command, its start and the loading of the model included."""
    chunks: int
    embedded: int


@dataclass(frozen=True, slots=True)
class LivingIndex:
    """What workers and commands share."""

    job: BenchmarkRun
    """Its `ours` is the Chroma server's address."""
    models: Path
    """Hub cache folder of the models the index changes between."""
    exported: Path
    """Where they lie in OpenVINO's form."""
    other_model: str
    """What the index changes to and back."""
    follows_models: bool
    """Whether workers take the model's name from the index; else they are told the job's."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What workers and commands are told."""
        return {
            "ADMIN_KEY": ADMIN_KEY,
            "ANSWER_CACHE_SIZE": "0",  # every answer is made, and none is shared
            "CHROMA_TOKEN": _BLANK,
            "DATABASE": self.job.ours,
            "EMBEDDING_CACHE_PATH": str(self.exported),
            "EMBEDDING_MODEL_NAME": "" if self.follows_models else self.job.model,
            "EMBEDDING_MODEL_PATH": str(self.models),
            "MIN_CONFIDENCE": "0",
            "MISTRAL_API_KEY": _BLANK,
        }

    async def build(
        self, name: str, model: str = "", folder: Path | None = None, database: str = ""
    ) -> Built:
        """Run the builder; without more said, on the job's documents with the job's model.

        Raises:
            DocsQAError: it failed.
        """
        ran = await self.run(
            name,
            *("./utils/db_builder.py", "-d", str(folder or self.job.documents)),
            *("-db", database or self.job.ours),
            *("-m", model or self.job.model, "-mp", str(self.models)),
        )
        found = _EMBEDDED.search(ran.output)
        if found is None:
            raise failed(name, Path(self.job.logs) / f"{name}.log")
        chunks, embedded = (int(count.replace(",", "")) for count in found.groups())
        return Built(ran.seconds, chunks, embedded)

    async def run(self, name: str, *arguments: str) -> Ran:
        """Run a command of this project to its end.

        Raises:
            DocsQAError: it failed.
        """
        log = Path(self.job.logs) / f"{name}.log"
        begun = time.perf_counter()
        with child([sys.executable, *arguments], log, self.environment) as process:
            while process.poll() is None:  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.02)
            seconds = time.perf_counter() - begun
        if process.returncode:
            raise failed(name, log)
        return Ran(seconds, log.read_text(errors="replace").replace("\r", "\n"))


@contextmanager
def chroma(job: BenchmarkRun, name: str, folder: Path) -> Iterator[str]:
    """Run a Chroma server on a folder; yields its address."""
    port = free_port()
    command = [str(_CHROMA), "run", "--path", str(folder), "--port", str(port)]
    with server(name, command, port, job, {}, ready="/api/v2/heartbeat") as running:
        yield running.address


@contextmanager
def workers(index: LivingIndex) -> Iterator[Sequence[str]]:
    """Run two workers on the index; yields their addresses."""
    with _worker(index, "first-worker") as first, _worker(index, "second-worker") as second:
        yield first.address, second.address


@contextmanager
def _worker(index: LivingIndex, name: str) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "inference_worker", "--host", "127.0.0.1", "--port", f"{port}"]
    with server(name, command, port, index.job, index.environment) as running:
        yield running
