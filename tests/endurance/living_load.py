"""Searches and answers at a set rate on all workers, whether or not these keep up."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from utils.benchmark.services import percentile
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx

SEARCH, ANSWER = "search", "answer"
_ROUTES = {SEARCH: ("/v1/search", "query"), ANSWER: ("/v1/answers", "question")}
NOT_SENT = "not sent: too many were waiting"
_MAX_WAITING = 400
_SECONDS = 60.0
_IDLE_SECONDS = 2.0
"""A connection is let go of before a worker lets go of it: never while a request is sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what came of it."""

    kind: str
    sent: float
    """On time.perf_counter's clock."""
    seconds: float
    failure: str = ""
    """What was met in place of a 200 that found something."""


@asynccontextmanager
async def load(
    workers: Sequence[str], asked: Sequence[str], rate: float, kinds: Sequence[str]
) -> AsyncIterator[list[Request]]:
    """Ask at a rate, evenly spaced, each worker in turn; yields the requests as they end.

    At the end, those under way are waited for: none is lost.
    """
    async with http_client() as http:
        asking = _Asking(http, workers, asked, rate, kinds)
        sending = asyncio.create_task(asking.run())
        try:
            yield asking.ended
            sending.cancel()
            await asyncio.gather(*asking.sent)
        finally:
            for task in (sending, *asking.sent):
                task.cancel()
            ends = await asyncio.gather(sending, *asking.sent, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


@dataclass(slots=True)
class _Asking:
    http: "httpx.AsyncClient"
    workers: Sequence[str]
    asked: Sequence[str]
    rate: float
    kinds: Sequence[str]
    ended: list[Request] = field(default_factory=list)
    sent: list[asyncio.Task[None]] = field(default_factory=list)
    _waiting: int = 0

    async def run(self) -> None:
        """Ask until cancelled."""
        begun = time.perf_counter()
        turns = itertools.cycle(itertools.product(self.kinds, self.workers))
        todo = zip(itertools.count(), itertools.cycle(self.asked), turns, strict=False)
        for number, question, (kind, worker) in todo:
            await asyncio.sleep(max(begun + number / self.rate - time.perf_counter(), 0))
            if self._waiting >= _MAX_WAITING:
                self.ended.append(Request(kind, time.perf_counter(), 0.0, NOT_SENT))
                continue
            self.sent.append(asyncio.create_task(self._ask(worker, kind, question)))

    async def _ask(self, worker: str, kind: str, question: str) -> None:
        import httpx

        route, asked = _ROUTES[kind]
        self._waiting += 1
        sent, failure = time.perf_counter(), ""
        try:
            response = await self.http.post(f"{worker}{route}", json={asked: question})
            if response.status_code != 200:
                failure = f"status {response.status_code}"
            elif not response.json()["passages"]:
                failure = "nothing found"
        except (httpx.HTTPError, ValueError, KeyError) as error:
            failure = type(error).__name__
        self._waiting -= 1
        self.ended.append(Request(kind, sent, time.perf_counter() - sent, failure))


def http_client() -> "httpx.AsyncClient":
    """A pool of connections to all workers."""
    import httpx

    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=64, keepalive_expiry=_IDLE_SECONDS
    )
    return httpx.AsyncClient(timeout=_SECONDS, limits=limits, trust_env=False)


def failures(requests: Sequence[Request]) -> Mapping[str, int]:
    """How many went wrong in which way."""
    return Counter(each.failure for each in requests if each.failure)


def milliseconds(requests: Sequence[Request], share: float, kind: str = "") -> float:
    """What this share of the good ones took at most.

    Raises:
        DocsQAError: there is none.
    """
    times = [r.seconds for r in requests if not r.failure and kind in ("", r.kind)]
    if not times:
        raise DocsQAError(f"The workers answered none of the benchmark's requests: {requests[:1]}.")
    return 1000 * percentile(times, share)
