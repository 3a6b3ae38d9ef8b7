"""Random additions, replacements and deletions of documents through the API."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from tests.endurance.checker.model import Document
from tests.endurance.checker.windows import BUILD
from tests.endurance.documents.folder import SHARED, shared_name
from tests.endurance.documents.pages import Version
from tests.endurance.load.writes import Writes
from tests.endurance.system.processes import Service

_PREFIX = "live/"
_MIN_DOCUMENTS, _MAX_DOCUMENTS = 30, 60
"""The number of documents is kept between these two."""
_NAMES = 90
_ENDINGS = (".md",) * 8 + (".txt", ".html")
_AT_ONCE = 3
_WHILE_BUILDING = 0.25


@dataclass(slots=True)
class Changes:
    """Changes random documents, with one request at a time for each."""

    writes: Writes
    rng: random.Random
    action: Callable[[], AbstractAsyncContextManager[None]]
    """Entered for each change; waits while the run is quiet."""
    _busy: set[str] = field(default_factory=set)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def run(self, rate: float, until: float) -> None:
        """Start changes at random moments, `rate` a second on average, until a moment."""
        async with asyncio.TaskGroup() as group:
            while time.perf_counter() < until:
                await asyncio.sleep(self.rng.expovariate(rate))
                await self._slots.acquire()
                group.create_task(self._one())

    async def _one(self) -> None:
        try:
            async with self.action():
                await self.change()
        finally:
            self._slots.release()

    async def change(self) -> None:
        """Make one change; perhaps retry one without a response."""
        documents = self._documents()
        workers = self.writes.system.up
        if not documents or not workers or self._is_skipped():
            return
        names = {document.name for document in documents}
        self._busy |= names
        try:
            await self._change(self.rng.choice(workers), documents)
            await self._retry(documents[0])
        finally:
            self._busy -= names

    def _is_skipped(self) -> bool:
        """Skip most changes during a build, which answers nearly all of them with 409."""
        now = time.perf_counter()
        building = self.writes.checker.model.windows.overlap([BUILD], now, now)
        return building and self.rng.random() > _WHILE_BUILDING

    async def _retry(self, document: Document) -> None:
        """Retry half of the writes without a response, at any worker."""
        workers = self.writes.system.up
        if document.name in self.writes.unsettled and workers and self.rng.random() < 0.5:
            await self.writes.put(self.rng.choice(workers), document)

    def _there(self) -> list[Document]:
        changing = self.writes.checker.model.changing()
        return [document for document, _ in changing if document.name.startswith(_PREFIX)]

    def _documents(self) -> list[Document]:
        """One document without a write under way, or several for one request."""
        model, rng = self.writes.checker.model, self.rng
        there = self._there()
        fresh = len(there) < _MIN_DOCUMENTS or (len(there) < _MAX_DOCUMENTS and rng.random() < 0.45)
        if rng.random() < 0.08:
            found = [model.add(shared_name(rng.randrange(SHARED)))]
        elif fresh:
            count = rng.choices((1, 3), (9, 1))[0]
            found = [model.add(_name(number)) for number in rng.sample(range(_NAMES), count)]
        else:
            found = [rng.choice(there)]
        return [d for d in found if d.name not in self._busy and len(d.open_states) == 1]

    async def _change(self, worker: Service, documents: list[Document]) -> None:
        rng, writes, document = self.rng, self.writes, documents[0]
        (state,) = document.open_states
        if len(documents) > 1:
            await writes.post(worker, documents)
        elif state is None and rng.random() < 0.05:
            await writes.delete_missing(worker, document)
        elif state is None:
            await writes.put(worker, document, None, **self._headers({"If-None-Match": "*"}))
        elif len(self._there()) > _MAX_DOCUMENTS or rng.random() < 0.3:
            await writes.delete(worker, document, purge=rng.random() < 0.08)
        else:
            await self._replace(worker, document, state)

    async def _replace(self, worker: Service, document: Document, state: Version) -> None:
        rng, writes, etag = self.rng, self.writes, document.etag
        up = writes.system.up
        roll = rng.random()
        if roll < 0.08 and etag:
            await writes.put_again(worker, document, state)
        elif roll < 0.14:
            await writes.refused(worker, document, **{"If-Match": f'"{"0" * 64}"'})
        elif roll < 0.20:
            await writes.refused(worker, document, **{"If-None-Match": "*"})
        elif roll < 0.26 and etag and len(up) > 1:
            await writes.race(up, document)
        else:
            await writes.put(
                worker, document, None, **self._headers({"If-Match": f'"{etag}"'} if etag else {})
            )

    def _headers(self, condition: dict[str, str]) -> dict[str, str]:
        """Sometimes a condition that is met, sometimes a request not to wait."""
        headers = condition if self.rng.random() < 0.25 else {}
        return headers | ({"Prefer": "wait=0"} if self.rng.random() < 0.15 else {})


def _name(number: int) -> str:
    return f"{_PREFIX}page-{number:02d}{_ENDINGS[number % len(_ENDINGS)]}"
