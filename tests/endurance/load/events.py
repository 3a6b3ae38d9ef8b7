"""Plays the planned events: builds, swaps and kills."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.model import BUILD_SECONDS
from tests.endurance.checker.violations import BUILDER
from tests.endurance.checker.windows import BUILD, STORE, SWAP
from tests.endurance.documents.folder import Folder
from tests.endurance.load import schedule
from tests.endurance.load.schedule import Event
from tests.endurance.system.processes import CommandResult, System

OTHER_CHUNK_SIZE = 96
"""In tokens; swaps alternate between it and the model's default."""
_STORE_SECONDS = 6.0
"""The maximum time for clients to reconnect after a restart of the store."""
_POINTER_SECONDS = 1.0
"""The maximum time between going live and the end of the build's process."""
_PAUSE_SECONDS = 10.0
"""Between two events of a lane, so that there are calm moments."""
_ATTEMPTS = 6
_ANOTHER = "Another build"
_MOVED = re.compile(r"^([\d,]+) chunks, ", re.MULTILINE)


@dataclass(slots=True)
class Events:
    """Plays the lanes of a schedule; reruns every killed build to its end."""

    system: System
    checker: Checker
    folder: Folder
    rng: random.Random
    action: Callable[[], AbstractAsyncContextManager[None]]
    deleted: Callable[[int], None]
    """Called with the rows of each build, which deletes an index of about as many."""
    chunk_size: int | None = None
    """None for the model's own."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """Each event with its time and outcome."""
    counts: Counter[str] = field(default_factory=Counter)
    _build_seconds: float = 10.0

    async def run(self, events: Sequence[Event], begin: float, until: float) -> None:
        """Play one lane until a moment."""
        for event in events:
            await asyncio.sleep(max(0.0, begin + event.at - time.perf_counter()))
            if time.perf_counter() >= until:
                return
            async with self.action():
                await self._play(event, begin)
            await asyncio.sleep(max(0.0, min(_PAUSE_SECONDS, until - time.perf_counter())))

    async def _play(self, event: Event, begin: float) -> None:
        started = time.perf_counter()
        self.counts[event.kind] += 1
        if event.kind == schedule.KILL_WORKER:
            outcome = await self._kill_worker(event)
        elif event.kind == schedule.KILL_STORE:
            outcome = await self._kill_store(event)
        else:
            outcome = await self._build(event)
        now = time.perf_counter()
        self.log.append(
            {
                "at": round(started - begin, 2),
                "kind": event.kind,
                "seconds": round(now - started, 2),
                "outcome": outcome,
            }
        )

    async def _kill_worker(self, event: Event) -> str:
        worker = self.system.workers[event.worker]
        self.system.kill_worker(worker)
        await asyncio.sleep(event.seconds)
        await self.system.restart_worker(worker)
        return f"{worker.name} back"

    async def _kill_store(self, event: Event) -> str:
        store = self.system.store
        if store is None:
            return "there is none"
        window = self.checker.model.windows.open(STORE, time.perf_counter())
        store.kill()
        await asyncio.sleep(event.seconds)
        await store.start()
        window.ended = time.perf_counter() + _STORE_SECONDS
        return "back"

    async def _build(self, event: Event) -> str:
        """Change the folder, and build until a build succeeds."""
        if event.kind in (schedule.SWAP, schedule.SWAP_KILLED, schedule.TWO_BUILDERS):
            self.chunk_size = None if self.chunk_size else OTHER_CHUNK_SIZE
        changed = self.folder.change()
        window = self.checker.model.windows.open(BUILD, time.perf_counter())
        steps = []
        if event.kind in (schedule.BUILD_KILLED, schedule.SWAP_KILLED):
            killed = await self._once(kill_after=event.seconds * self._build_seconds)
            steps.append(f"killed after {killed.seconds:.1f} s")
            self._may_have_gone_live(killed.seconds)
            await asyncio.sleep(self.rng.uniform(0.5, 2.0))
        elif event.kind == schedule.TWO_BUILDERS:
            steps.append(await self._two())
        built = await self._until_built()
        window.ended = time.perf_counter() + _POINTER_SECONDS
        steps.append(f"{changed} pages changed, built in {built.seconds:.1f} s")
        return "; ".join(steps)

    async def _once(self, kill_after: float | None = None) -> CommandResult:
        size = ("-cz", str(self.chunk_size)) if self.chunk_size else ()
        return await self.system.build(*size, kill_after=kill_after)

    async def _until_built(self) -> CommandResult:
        """Build; retry if the store was down or another builder had the lock."""
        for _ in range(_ATTEMPTS):
            started = time.perf_counter()
            built = await self._once()
            self._may_have_gone_live(built.seconds)
            if built.status == 0:
                self._build_seconds = built.seconds
                self.folder.built()
                if moved := _MOVED.search(built.output):
                    self.deleted(int(moved[1].replace(",", "")))
                return built
            self.counts["builds that gave up"] += 1
            excused = self.checker.model.windows.overlap([STORE], started, time.perf_counter())
            if not excused and _ANOTHER not in built.output:
                self._report("a build failed", built)
            await asyncio.sleep(2.0)
        self._report(f"{_ATTEMPTS} builds failed", built)
        return built

    async def _two(self) -> str:
        """Start two builders: one must build, the other must exit and name the first."""
        started = time.perf_counter()
        first = asyncio.create_task(self._once())
        await asyncio.sleep(self.rng.uniform(0.0, 1.5))
        both = [await self._once(), await first]
        self._may_have_gone_live(both[0].seconds)
        if self.checker.model.windows.overlap([STORE], started, time.perf_counter()):
            return "two builders while the store was away"
        refused = [built for built in both if built.status == 1 and _ANOTHER in built.output]
        done = [built for built in both if built.status == 0]
        if not done or len(done) + len(refused) < 2:
            for built in both:
                self._report("two builders: none built, or one failed for another reason", built)
        for one in refused:
            (other,) = [built for built in both if built is not one]
            if f"process {other.process_id} " not in one.output:
                self._report(f"a builder did not name process {other.process_id}", one)
        self.counts["second builder refused"] += len(refused)
        return f"two builders, {len(refused)} refused"

    def _may_have_gone_live(self, seconds: float) -> None:
        """Open a window in which the replicas may switch to a new index."""
        now = time.perf_counter()
        begun = now - min(seconds, _POINTER_SECONDS)
        self.checker.model.windows.add(SWAP, begun, now + BUILD_SECONDS)

    def _report(self, what: str, built: CommandResult) -> None:
        lines = [line for line in built.output.splitlines() if line.strip()]
        self.checker.report(BUILDER, what, status=built.status, said=lines[-5:])
