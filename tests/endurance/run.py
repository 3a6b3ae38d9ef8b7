"""One run: load, changes and events at the same time, with checks of the whole index."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.document_checks import check_list, check_read
from tests.endurance.checker.memory import Memory
from tests.endurance.checker.store_check import check_store
from tests.endurance.checker.violations import BUILDER, WRONG
from tests.endurance.documents.folder import Folder
from tests.endurance.load.changes import Changes
from tests.endurance.load.events import Events
from tests.endurance.load.requests import Load
from tests.endurance.load.rest import Rest
from tests.endurance.load.schedule import plan
from tests.endurance.load.visibility import VisibilityWatcher
from tests.endurance.load.writes import Writes
from tests.endurance.system.client import Client
from tests.endurance.system.processes import CommandResult, Service, System
from utils.errors import DocsQAError

_CHECK_EVERY = 120.0
_CALM_SECONDS = 8.0
"""Time for the replicas to follow the last change or build."""
_SAMPLE = 25
"""The number of permanent documents in each check."""
_SETTLE_SECONDS = 90.0


@dataclass(slots=True)
class Run:
    """One run on a system with a first index."""

    system: System
    checker: Checker
    client: Client
    folder: Folder
    seed: int
    questions: list[str]
    has_documents: bool
    has_filters: bool
    say: Callable[[str], None]
    begun: float = 0.0
    seconds: float = 0.0
    """Under load."""
    rows: int = 0
    rollback: str = "not tried"
    rest: Rest = field(default_factory=Rest)
    load: Load = field(init=False)
    writes: Writes = field(init=False)
    events: Events = field(init=False)
    memory: Memory = field(init=False)

    def __post_init__(self) -> None:
        """Create the parts, each with its own random numbers."""
        system, checker, client = self.system, self.checker, self.client
        self.load = Load(
            client, checker, system, self._random("load"), self.questions, self.has_documents
        )
        rng = self._random("watch")
        watcher = VisibilityWatcher(client, checker, system, rng, self.has_filters)
        self.writes = Writes(client, checker, system, watcher)
        services = [*system.workers, *([system.store] if system.store else [])]
        self.memory = Memory(services, with_chroma=services[-1])
        deleted = self.memory.note_deleted
        rng = self._random("events")
        self.events = Events(system, checker, self.folder, rng, self.rest.action, deleted)

    def _random(self, part: str) -> random.Random:
        return random.Random(f"{self.seed} {part}")  # no secrets

    @asynccontextmanager
    async def under_load(self, rate: float) -> AsyncIterator[None]:
        """Send requests and sample memory during the block; then wait for the last responses."""
        self.begun = time.perf_counter()
        sampling = asyncio.create_task(self.memory.run())
        sending = asyncio.create_task(self.load.run(rate))
        try:
            yield
            sending.cancel()
            await self.load.drain()
            self.seconds = time.perf_counter() - self.begun
        finally:
            sending.cancel()
            sampling.cancel()
            ends = await asyncio.gather(sampling, sending, return_exceptions=True)
            await self.load.cancel()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def play(self, seconds: float, rate: float, changes: float) -> None:
        """Run load, changes and events for a time; then check everything."""
        async with self.under_load(rate):
            until = self.begun + seconds
            async with asyncio.TaskGroup() as group:
                lanes = plan(
                    self.seed, seconds, len(self.system.workers), server=bool(self.system.store)
                )
                for lane in lanes.values():
                    group.create_task(self.events.run(lane, self.begun, until))
                if changes and self.has_documents:
                    chosen = Changes(self.writes, self._random("changes"), self.rest.action)
                    group.create_task(chosen.run(changes, until))
                    group.create_task(self._settling(until))
                group.create_task(self._check_regularly(until))
            await self.check()
        await self._roll_back()

    async def _settling(self, until: float) -> None:
        while time.perf_counter() < until:
            await asyncio.sleep(1.0)
            await self.writes.settle()

    async def _check_regularly(self, until: float) -> None:
        """Check everything every few minutes, and print the progress."""
        reported = 0
        while time.perf_counter() + _CHECK_EVERY < until:
            await asyncio.sleep(_CHECK_EVERY)
            await self.check()
            minutes = (time.perf_counter() - self.begun) / 60
            self.say(
                f"{minutes:4.1f} minutes: {self.checker.counts.total():,} requests, "
                f"{sum(self.writes.kinds.values()):,} changes, "
                f"{len(self.checker.violations)} violations"
            )
            for each in self.checker.violations[reported:]:
                self.say(f"  {each.kind}: {each.what} {each.facts}")
            reported = len(self.checker.violations)

    async def check(self) -> None:
        """Wait for changes to end, then compare every worker with the model."""
        async with self.rest.quiet():
            deadline = time.perf_counter() + _SETTLE_SECONDS
            while self.writes.unsettled and time.perf_counter() < deadline:
                await asyncio.sleep(1.0)
                await self.writes.settle()
            for name in self.writes.unsettled:
                self.checker.report(WRONG, f"the replicas do not agree on {name}")
            await asyncio.sleep(_CALM_SECONDS)
            for worker in self.system.up:
                await self._check_worker(worker)

    async def _check_worker(self, worker: Service) -> None:
        """Check the list, all documents that change, and a sample of the permanent ones."""
        model, rng = self.checker.model, self._random(f"look {time.perf_counter()}")
        if self.has_documents:
            page, rows, total = await self.client.list_documents(worker)
            if self.checker.status(page):
                check_list(self.checker, page, rows, total)
        sample = rng.sample(model.permanent, min(_SAMPLE, len(model.permanent)))
        for document, version in model.changing() + sample:
            if self.has_documents:
                check_read(self.checker, await self.client.read(worker, document.name), document)
            if self.has_filters and not document.permanent:
                await self.writes.watcher.check_sections(worker, document, version)
            else:
                section = rng.randrange(version.sections)
                await self.load.search(worker, document, version, section)

    async def finish(self) -> None:
        """Stop the workers, check the rows of the store, and check a fresh worker."""
        await self.system.stop_workers()
        self.rows = await asyncio.to_thread(check_store, self.checker, self.system.database)
        fresh = self.system.workers[0]
        await self.system.restart_worker(fresh)
        await self._check_worker(fresh)

    async def _roll_back(self) -> None:
        """Swap the index and roll back; the documents and chunks must be the same again."""
        before = await self._chunks()
        size = () if self.events.chunk_size else ("-cz", "96")
        swapped = await self.system.build(*size)
        await asyncio.sleep(_CALM_SECONDS)
        other = await self._chunks()
        back = await self.system.build("--rollback")
        await asyncio.sleep(_CALM_SECONDS)
        after = await self._chunks()
        for what, built in (("swap before a rollback", swapped), ("rollback", back)):
            if built.status:
                self.checker.report(BUILDER, f"the {what} failed", said=built.last_line)
        if swapped.status == back.status == 0 and (after != before or other == before):
            what = f"a rollback of {other} led from {before} to {after}"
            self.checker.report(BUILDER, what)
        self.rollback = f"{before} chunks, swapped to {other}, back to {after}"
        for worker in self.system.up:
            await self._check_worker(worker)

    async def _chunks(self) -> list[Any]:
        """The number of chunks in each worker's index, from /readyz."""
        found = []
        for worker in self.system.up:
            ready = await self.client.send("readyz", worker, "GET", "/readyz")
            found.append((ready.body or {}).get("index", {}).get("chunks"))
        return found


async def first_build(system: System, folder: Folder) -> CommandResult:
    """Build the first index and start the workers on it.

    Raises:
        DocsQAError: the build failed.
    """
    built = await system.build()
    if built.status:
        raise DocsQAError(f"The first build failed: {built.last_line}")
    folder.built()
    for worker in system.workers:
        await worker.start()
    return built
