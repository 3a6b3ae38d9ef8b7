"""Polls every replica until it shows a change."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.document_checks import check_read, check_whole
from tests.endurance.checker.model import Document, Span, State
from tests.endurance.checker.windows import STORE, SWAP
from tests.endurance.documents.pages import Mark, Version
from tests.endurance.system.client import Client
from tests.endurance.system.processes import Service, System

_VISIBLE_SECONDS = 15.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """One document of a write request."""

    document: Document
    state: State
    span: Span
    outcomes: frozenset[str]
    """The outcomes that the response may report."""


@dataclass(slots=True)
class VisibilityWatcher:
    """Polls the replicas after each change, and records the seconds until it is visible."""

    client: Client
    checker: Checker
    system: System
    rng: random.Random
    filters: bool
    """True if the service can restrict a search to one document."""
    visible: list[float] = field(default_factory=list)
    """Seconds from each acknowledgement to the first correct response of another replica."""

    async def change(self, change: Change, by: str) -> None:
        """Check a change once at the worker that acknowledged it, and poll the others for it."""
        acknowledged = time.perf_counter()
        up = self.system.up
        for worker in up:
            if worker.name == by:
                await self._is_visible(change, worker)
        seconds = await asyncio.gather(
            *(self._seconds_until_visible(change, w, acknowledged) for w in up if w.name != by)
        )
        self.visible += [each for each in seconds if each is not None]

    async def _seconds_until_visible(
        self, change: Change, worker: Service, acknowledged: float
    ) -> float | None:
        """Seconds until a worker shows a change; None if it, or its store, was disturbed."""
        starts = worker.starts
        while time.perf_counter() < acknowledged + _VISIBLE_SECONDS and worker.process_id:
            if await self._is_visible(change, worker):
                undisturbed = not self.checker.model.windows.overlap(
                    [STORE, SWAP], acknowledged, time.perf_counter()
                )
                seconds = time.perf_counter() - acknowledged
                return seconds if undisturbed and worker.starts == starts else None
            await asyncio.sleep(_POLL_SECONDS)
        return None

    async def _is_visible(self, change: Change, worker: Service) -> bool:
        """True if a worker shows the whole new version, or nothing after a deletion."""
        document = change.document
        exchange = await self.client.read(worker, document.name)
        shown = check_read(self.checker, exchange, document)
        if exchange.status not in (200, 404) or shown != change.state:
            return False
        version = change.state or document.versions[len(document.versions)]
        if change.state and self.filters:
            return await self.check_sections(worker, document, version)
        section = self.rng.choice((None, *range(version.sections)))
        marker = version.marker if section is None else version.section_marker(section)
        exchange = await self.client.search(worker, marker)
        mark = Mark(document.number, version.number, section)
        found = self.checker.search(exchange, mark)
        return exchange.status == 200 and found == (change.state is not None)

    async def check_sections(self, worker: Service, document: Document, version: Version) -> bool:
        """True if a search restricted to a document finds all of its sections."""
        exchange = await self.client.search(
            worker, version.marker, 100, filters={"documents": [document.name]}
        )
        return check_whole(self.checker, exchange, document, version)
