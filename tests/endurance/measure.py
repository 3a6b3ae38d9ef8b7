"""Measures an index under load: document changes, a sync, switches of the model, a snapshot.

Every step happens to the system, and is checked by the checker, of the endurance run.
"""

import asyncio
import os
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.endurance.checker.windows import BUILD, SWAP
from tests.endurance.run import Run
from tests.endurance.system.exchange import Exchange
from tests.endurance.system.models import SHORTENED, add_model, add_with_shortened
from tests.endurance.system.processes import CommandResult, Service, System, chroma_server
from utils.benchmark.processes import BenchmarkRun, free_port
from utils.errors import DocsQAError
from utils.figures import percentile
from utils.settings import load_settings

if TYPE_CHECKING:
    from database.index.live_pointer import LivePointer
    from database.index.store import Store

ADD, REPLACE, DELETE = "PUT of a new page", "PUT of a page's new text", "DELETE of a page"
ADD_WORD_FILE = "PUT of a new Word file"
_PAGE = {"sections": 8, "sentences": 8}
"""About 6 kB."""
_CHANGED_SHARE = 0.01
_WARM_UP_SHARE = 0.5
_POLL_SECONDS = 0.03
_MAX_SECONDS = 120.0
_EMBEDDED = re.compile(r"([\d,]+) chunks, ([\d,]+) of them embedded now")


def measure_settings(run: BenchmarkRun, scratch: Path) -> dict[str, str]:
    """Settings for workers that follow the model of the index; makes the folder of both models.

    Raises:
        DocsQAError: the model cannot be shortened.
    """
    models = scratch / "models"
    if run.other_model:
        add_model(models, run.model, Path(run.model_folder))
        add_model(models, run.other_model, Path(run.other_model_folder))
    else:
        add_with_shortened(models, run.model, Path(run.model_folder))
    return {
        "ANSWER_CACHE_SIZE": "0",
        "EMBEDDING_CACHE_PATH": os.environ.get("EMBEDDING_CACHE_PATH") or str(scratch / "exported"),
        "EMBEDDING_MODEL_NAME": "" if _follows_models() else run.model,
        "EMBEDDING_MODEL_PATH": str(models),
    }


def _follows_models() -> bool:
    """False if .env sets the model: an empty variable does not override it."""
    return load_settings().embedding_model_name is None


async def export_models(system: System, scratch: Path) -> None:
    """Build an index of one page with each model, so that no measured build exports a model.

    Raises:
        DocsQAError: a build failed.
    """
    page = scratch / "page"
    page.mkdir()
    (page / "page.md").write_text("# A page\n\nIt is read once.\n")
    run = system.benchmark_run
    for at, model in enumerate((run.model, run.other_model or SHORTENED)):
        target = str(scratch / f"page-{at}")
        _check(
            await system.run("./utils/db_builder.py", "-d", str(page), "-db", target, "-m", model),
            f"build with {model}",
        )


@dataclass(slots=True)
class Measurement:
    """The figures of one run, by name."""

    run: Run
    changes: int
    """Documents added, replaced and deleted."""
    calm_seconds: float
    """Requests alone, as the baseline of the latencies."""
    figures: dict[str, float] = field(default_factory=dict)

    async def measure(self, rate: float, first: CommandResult, scratch: Path) -> None:
        """Measure every step, one after the other.

        Raises:
            DocsQAError: a command failed, or a worker did not follow a switch.
        """
        chunks, _ = embedded_chunks(first)
        self.figures |= {"first build, s": first.seconds, "first build, chunks": chunks}
        async with self.run.under_load(rate):
            await asyncio.sleep(_WARM_UP_SHARE * self.calm_seconds)
            begun = time.perf_counter()
            await asyncio.sleep(self.calm_seconds)
            calm_until = time.perf_counter()
            self.run.say(f"{self.changes} documents added, replaced and deleted ...")
            await self.change_documents()
            changed = time.perf_counter()
            await self._switch_indexes(first)
            ended = time.perf_counter()
        await self.run.check()
        await self._snapshot(first, scratch)
        spans = {
            "alone": (begun, calm_until),
            "during changes": (calm_until, changed),
            "during builds and switches": (changed, ended),
        }
        self.figures |= latency_figures(self.run.load.latencies, spans)

    async def change_documents(self) -> None:
        """Add and replace pages, add Word files, and delete them all, each worker in turn."""
        writes, workers = self.run.writes, self.run.system.workers
        model = self.run.checker.model
        pages = [model.add(f"measured/page-{at}.md") for at in range(self.changes)]
        files = [model.add(f"measured/file-{at}.docx") for at in range(max(1, self.changes // 2))]
        steps = [(ADD, page) for page in pages] + [(REPLACE, page) for page in pages]
        steps += [(ADD_WORD_FILE, file) for file in files]
        steps += [(DELETE, document) for document in [*pages, *files]]
        answered: dict[str, list[float]] = defaultdict(list)
        visible: dict[str, list[float]] = defaultdict(list)
        for turn, (kind, document) in enumerate(steps):
            worker = workers[turn % len(workers)]
            seen = len(writes.watcher.visible)
            exchange: Exchange
            if kind == DELETE:
                exchange = await writes.delete(worker, document, purge=False)
            else:
                exchange = await writes.put(worker, document, document.next_version(**_PAGE))
            answered[kind].append(exchange.seconds)
            visible[kind] += [exchange.seconds + s for s in writes.watcher.visible[seen:]]
        for kind, seconds in answered.items():
            self.figures |= _milliseconds(f"{kind}, answered", seconds)
            self.figures |= _milliseconds(f"{kind}, visible in the other worker", visible[kind])
        if writes.watcher.visible:
            name = "from the response until visible in the other worker, max s"
            self.figures[name] = max(writes.watcher.visible)

    async def _switch_indexes(self, first: CommandResult) -> None:
        """Sync a few changed pages; switch the model, roll back twice, and build back."""
        from database.index.store import open_store

        system, folder = self.run.system, self.run.folder
        store = await asyncio.to_thread(open_store, system.database)
        with closing(store):
            count = max(1, round(_CHANGED_SHARE * len(self.run.checker.model.present())))
            folder.replace(count)
            self.run.say(f"a sync after {count} pages changed ...")
            sync = await self._switch(store, "sync")
            self.figures["sync, pages changed"] = count
            self.figures["sync, % of the first build's time"] = 100 * sync.seconds / first.seconds
            if not _follows_models():
                self.run.say("No switch of the model: EMBEDDING_MODEL_NAME is set.")
                return
            self.run.say("another model and back ...")
            other = system.benchmark_run.other_model or SHORTENED
            await self._switch(store, "build with another model", model=other)
            await self._switch(store, "rollback", "--rollback")
            await self._switch(store, "second rollback", "--rollback")
            folder.replace(1)  # else the build would find the previous index complete
            await self._switch(store, "build with the first model again")
            await asyncio.sleep(self.calm_seconds)

    async def _switch(
        self, store: "Store", name: str, *options: str, model: str = ""
    ) -> CommandResult:
        """Run the builder, and measure how long each worker takes to serve the new index."""
        windows = self.run.checker.model.windows
        opened = [windows.open(kind, time.perf_counter()) for kind in (BUILD, SWAP)]
        before = await asyncio.to_thread(store.live)
        following = asyncio.create_task(self._seconds_to_follow(store, before))
        try:
            result = _check(await self.run.system.build(*options, model=model), name)
            followed = await asyncio.wait_for(following, _MAX_SECONDS)
        except TimeoutError:
            raise DocsQAError(f"The workers did not follow the {name}.") from None
        finally:
            following.cancel()
            for window in opened:
                window.ended = time.perf_counter()
        self.run.folder.built()
        self.figures[f"{name}, s"] = result.seconds
        if not options:
            self.figures[f"{name}, chunks embedded"] = embedded_chunks(result)[1]
        self.figures[f"{name}, first worker serves it after s"] = min(followed)
        self.figures[f"{name}, both workers serve it after s"] = max(followed)
        return result

    async def _seconds_to_follow(self, store: "Store", before: "LivePointer | None") -> list[float]:
        """Seconds from the move of the pointer until each worker serves the new index."""
        while not (live := await asyncio.to_thread(store.live)) or live == before:  # noqa: ASYNC110  # no event to await
            await asyncio.sleep(_POLL_SECONDS)
        moved = time.perf_counter()

        async def follow(worker: Service) -> float:
            while True:
                ready = await self.run.client.send("readyz", worker, "GET", "/readyz")
                if (ready.body or {}).get("index", {}).get("revision", 0) >= live.revision:
                    return time.perf_counter() - moved
                await asyncio.sleep(_POLL_SECONDS)

        return list(await asyncio.gather(*map(follow, self.run.system.workers)))

    async def _snapshot(self, first: CommandResult, scratch: Path) -> None:
        """Push a snapshot to a folder, and pull it into an empty Chroma server."""
        self.run.say("a snapshot pushed and pulled ...")
        system = self.run.system
        folder = scratch / "snapshots"
        folder.mkdir()
        command = ("-m", "database.snapshot")
        push = await system.run(*command, "push", str(folder), "-db", system.database)
        _check(push, "push")
        address = f"http://127.0.0.1:{free_port()}"
        empty = chroma_server(
            "empty-chroma", str(scratch / "pulled"), system.benchmark_run, address
        )
        try:
            await empty.start()
            pull = await system.run(*command, "pull", str(folder), "-db", address)
        finally:
            empty.kill()
        _check(pull, "pull")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        self.figures |= {
            "snapshot, MB": size / 1e6,
            "snapshot pushed to a folder, s": push.seconds,
            "snapshot pulled into an empty server, s": pull.seconds,
            "pull, % of the first build's time": 100 * pull.seconds / first.seconds,
        }


def embedded_chunks(build: CommandResult) -> tuple[int, int]:
    """The chunks of a build, and how many of them it embedded, from the builder's report.

    Raises:
        DocsQAError: the output contains no report.
    """
    found = _EMBEDDED.search(build.output)
    if found is None:
        raise DocsQAError(f"A build printed no report: {build.last_line}")
    chunks, embedded = (int(count.replace(",", "")) for count in found.groups())
    return chunks, embedded


def latency_figures(
    latencies: Sequence[tuple[float, float, str]], spans: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """p50 and p99 of searches and answers sent in each span of time."""
    figures: dict[str, float] = {}
    for route in ("search", "answers"):
        for name, (begin, end) in spans.items():
            seconds = [s for at, s, r in latencies if r == route and begin <= at - s < end]
            if seconds:
                for label, share in (("p50", 0.5), ("p99", 0.99)):
                    figures[f"{route} {name}, {label} ms"] = 1000 * percentile(seconds, share)
    return figures


def _milliseconds(name: str, seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {
        f"{name}, p50 ms": 1000 * percentile(seconds, 0.5),
        f"{name}, max ms": 1000 * max(seconds),
    }


def _check(result: CommandResult, name: str) -> CommandResult:
    if result.status:
        raise DocsQAError(f"The {name} failed: {result.last_line}")
    return result
