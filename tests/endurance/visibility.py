"""Watches a change until every replica shows it."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from tests.endurance.checker import Checker
from tests.endurance.client import Client
from tests.endurance.model import Document, Span, State
from tests.endurance.pages import Mark, Version
from tests.endurance.reading import check_read, check_whole
from tests.endurance.system import Service, System
from tests.endurance.windows import STORE, SWAP

_VISIBLE_SECONDS = 15.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """One document's part of a request."""

    document: Document
    state: State
    span: Span
    outcomes: frozenset[str]
    """What may become of it."""


@dataclass(slots=True)
class Watch:
    """Looks at changes, and keeps how long they took to be seen."""

    client: Client
    checker: Checker
    system: System
    rng: random.Random
    filters: bool
    """Whether a search can be held to one document."""
    visible: list[float] = field(default_factory=list)
    """Seconds from an acknowledgement to another replica's first right response."""

    async def change(self, change: Change, by: str) -> None:
        """Look at a change: where it was acknowledged at once, elsewhere until it is there."""
        acknowledged = time.perf_counter()
        up = self.system.up
        for worker in up:
            if worker.name == by:
                await self._look(change, worker)
        seconds = await asyncio.gather(
            *(self._until_seen(change, w, acknowledged) for w in up if w.name != by)
        )
        self.visible += [each for each in seconds if each is not None]

    async def _until_seen(
        self, change: Change, worker: Service, acknowledged: float
    ) -> float | None:
        """Seconds until a worker shows a change; None where it went away meanwhile."""
        starts = worker.starts
        while time.perf_counter() < acknowledged + _VISIBLE_SECONDS and worker.process_id:
            if await self._look(change, worker):
                undisturbed = not self.checker.model.windows.overlap(
                    [STORE, SWAP], acknowledged, time.perf_counter()
                )
                seconds = time.perf_counter() - acknowledged
                return seconds if undisturbed and worker.starts == starts else None
            await asyncio.sleep(_LOOK_SECONDS)
        return None

    async def _look(self, change: Change, worker: Service) -> bool:
        """Whether a worker shows a change: whole where something was put, nothing where deleted."""
        document = change.document
        exchange = await self.client.read(worker, document.name)
        shown = check_read(self.checker, exchange, document)
        if exchange.status not in (200, 404) or shown != change.state:
            return False
        version = change.state or document.versions[len(document.versions)]
        if change.state and self.filters:
            return await self.look_whole(worker, document, version)
        section = self.rng.choice((None, *range(version.sections)))
        marker = version.marker if section is None else version.section_marker(section)
        exchange = await self.client.search(worker, marker)
        mark = Mark(document.number, version.number, section)
        found = self.checker.search(exchange, mark)
        return exchange.status == 200 and found == (change.state is not None)

    async def look_whole(self, worker: Service, document: Document, version: Version) -> bool:
        """Whether a search that is held to a document finds all of its sections."""
        exchange = await self.client.search(
            worker, version.marker, 100, filters={"documents": [document.name]}
        )
        return check_whole(self.checker, exchange, document, version)
