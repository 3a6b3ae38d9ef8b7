"""The load: searches and questions at a set rate, even if the workers do not keep up."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.endurance.checker.checker import Checker
from tests.endurance.checker.document_checks import check_read
from tests.endurance.checker.model import Document
from tests.endurance.documents.pages import Mark, Version, question
from tests.endurance.system.client import Client
from tests.endurance.system.exchange import Exchange
from tests.endurance.system.processes import Service, System

MAX_WAITING = 400
"""The limit of requests under way; beyond it none are sent."""
_TOP_K = 8
_MORE = 20


@dataclass(slots=True)
class Load:
    """Sends requests and checks each response."""

    client: Client
    checker: Checker
    system: System
    rng: random.Random
    questions: Sequence[str]
    """Natural-language questions; generated if empty."""
    documents: bool
    """True to read documents through the API too."""
    latencies: list[tuple[float, float, str]] = field(default_factory=list)
    """Time of receipt, seconds and route of each response with status 200."""
    not_sent: int = 0
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self, rate: float) -> None:
        """Send requests at a rate, evenly spaced, until cancelled."""
        begin = time.perf_counter()
        sent = 0
        while True:
            sent += 1
            await asyncio.sleep(max(begin + sent / rate - time.perf_counter(), 0))
            self._send()

    async def drain(self) -> None:
        """Wait for the requests under way."""
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def cancel(self) -> None:
        """Cancel the requests under way."""
        for task in self._waiting:
            task.cancel()
        await self.drain()

    def _send(self) -> None:
        workers = self.system.up
        if not workers:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.not_sent += 1
            return
        kinds, weights = zip(*self._kinds(), strict=True)
        kind: Callable[[Service], Awaitable[Exchange]] = self.rng.choices(kinds, weights)[0]
        task = asyncio.create_task(self._timed(kind, self.rng.choice(workers)))
        self._waiting.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._waiting.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.checker.failed(error)

    async def _timed(self, kind: Callable[[Service], Awaitable[Exchange]], worker: Service) -> None:
        exchange = await kind(worker)
        if exchange.status == 200:
            self.latencies.append((exchange.received, exchange.seconds, exchange.route))

    def _kinds(self) -> list[tuple[Callable[[Service], Awaitable[Exchange]], float]]:
        return [
            (self._search_known, 45),
            (self._search_gone, 8),
            (self._search_plainly, 17),
            (self._answer, 10),
            (self._stream, 6),
            (self._endpoint, 6),
            (self._read, 8 if self.documents else 0),
        ]

    async def _search_known(self, worker: Service) -> Exchange:
        document, version = self._known()
        section = self.rng.choice((None, *range(version.sections)))
        return await self.search(worker, document, version, section)

    async def _search_gone(self, worker: Service) -> Exchange:
        """Search for a version that was replaced or deleted."""
        model = self.checker.model
        document = self.rng.choice(model.numbers)
        version = self.rng.choice(list(document.versions.values()) or [self._known()[1]])
        return await self.search(worker, model.numbers[version.document], version, None)

    async def search(
        self, worker: Service, document: Document, version: Version, section: int | None
    ) -> Exchange:
        """Search for a version by its marker, or by that of a section."""
        marker = version.marker if section is None else version.section_marker(section)
        exchange = await self.client.search(worker, marker, _TOP_K)
        self.checker.search(exchange, Mark(document.number, version.number, section))
        return exchange

    async def _search_plainly(self, worker: Service) -> Exchange:
        exchange = await self.client.search(worker, self._question(), _MORE)
        self.checker.search(exchange)
        return exchange

    async def _answer(self, worker: Service) -> Exchange:
        asked, expected = self._asked()
        exchange = await self.client.send(
            "answers", worker, "POST", "/v1/answers", asked=asked, json={"question": asked}
        )
        self.checker.answer(exchange, expected)
        return exchange

    async def _stream(self, worker: Service) -> Exchange:
        asked, expected = self._asked()
        body = {"question": asked, "stream": True}
        exchange = await self.client.send(
            "answers, streamed", worker, "POST", "/v1/answers", asked=asked, json=body
        )
        self.checker.stream(exchange, expected)
        return exchange

    async def _endpoint(self, worker: Service) -> Exchange:
        asked, _ = self._asked()
        route = "inference_endpoint"
        exchange = await self.client.send(
            route, worker, "POST", f"/{route}", asked=asked, params={"message": asked}
        )
        self.checker.endpoint(exchange)
        return exchange

    async def _read(self, worker: Service) -> Exchange:
        document = self.rng.choice(self.checker.model.numbers)
        exchange = await self.client.read(worker, document.name)
        check_read(self.checker, exchange, document)
        return exchange

    def _asked(self) -> tuple[str, Mark | None]:
        """A natural-language question, or one about a version."""
        if self.rng.random() < 0.5:
            return self._question(), None
        document, version = self._known()
        return f"What is written of {version.marker}?", Mark(document.number, version.number, None)

    def _question(self) -> str:
        return self.rng.choice(self.questions) if self.questions else question(self.rng)

    def _known(self) -> tuple[Document, Version]:
        """A document that exists; half of the time one that changes."""
        model = self.checker.model
        changing = model.changing() if self.rng.random() < 0.5 else []
        return self.rng.choice(changing or model.permanent)
