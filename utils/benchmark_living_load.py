"""Searches and answers at a set rate on all workers, whether or not these keep up."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from utils.benchmark_services import percentile
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx

SEARCH, ANSWER = "search", "answer"
NOT_SENT = "not sent: too many were waiting"
_MOST_WAITING = 400
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
    ended: list[Request] = []
    waiting: set[asyncio.Task[None]] = set()
    async with http_client() as http:
        sending = asyncio.create_task(_send(http, workers, asked, rate, kinds, ended, waiting))
        try:
            yield ended
            sending.cancel()
            await asyncio.gather(*waiting)
        finally:
            for task in (sending, *waiting):
                task.cancel()
            ends = await asyncio.gather(sending, *waiting, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _send(
    http: "httpx.AsyncClient",
    workers: Sequence[str],
    asked: Sequence[str],
    rate: float,
    kinds: Sequence[str],
    ended: list[Request],
    waiting: set[asyncio.Task[None]],
) -> None:
    begun = time.perf_counter()
    turns = itertools.cycle(itertools.product(kinds, workers))
    for sent, question, (kind, worker) in zip(
        itertools.count(), itertools.cycle(asked), turns
    ):  # without end
        await asyncio.sleep(max(begun + sent / rate - time.perf_counter(), 0))
        if len(waiting) >= _MOST_WAITING:
            ended.append(Request(kind, time.perf_counter(), 0.0, NOT_SENT))
            continue
        task = asyncio.create_task(_ask(http, worker, kind, question, ended))
        waiting.add(task)
        task.add_done_callback(waiting.discard)


async def _ask(
    http: "httpx.AsyncClient", worker: str, kind: str, question: str, ended: list[Request]
) -> None:
    import httpx

    sent, failure = time.perf_counter(), ""
    try:
        if kind == SEARCH:
            response = await http.post(f"{worker}/v1/search", json={"query": question})
        else:
            response = await http.post(f"{worker}/v1/answers", json={"question": question})
        if response.status_code != 200:
            failure = f"status {response.status_code}"
        elif not response.json()["passages"]:
            failure = "nothing found"
    except (httpx.HTTPError, ValueError, KeyError) as error:
        failure = type(error).__name__
    ended.append(Request(kind, sent, time.perf_counter() - sent, failure))


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
