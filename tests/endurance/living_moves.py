"""The index moves to another model and back, while searches and answers come in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.endurance.living_index import Built, LivingIndex
from tests.endurance.living_load import (
    ANSWER,
    SEARCH,
    Request,
    failures,
    http_client,
    load,
    milliseconds,
)
from utils.benchmark.report import Measure, Target
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx

    from database.index.live_pointer import LivePointer
    from database.index.store import Store

_LOOK_EVERY = 0.03
_MAX_SECONDS = 120.0
"""A worker that has not followed by then never does."""
_WARM_UP_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Move:
    """The pointer moved once, by one command."""

    name: str
    seconds: float
    """The whole command."""
    embedded: int
    followed: Sequence[float]
    """Seconds from the pointer's move until each worker answered from the new index."""


@dataclass(frozen=True, slots=True)
class MovesFigures:
    """All moves, and every request from before the first until after the last."""

    moves: Sequence[Move]
    calm: Sequence[Request]
    meanwhile: Sequence[Request]


async def measure_moves(
    index: LivingIndex,
    workers: Sequence[str],
    asked: Sequence[str],
    rate: float,
    calm_seconds: float,
    change_a_page: Callable[[], None],
) -> MovesFigures:
    """Change the model, return, change again by that, and build back, all under load.

    The build back is of a folder in which one page has changed: of the very same documents, the
    index before is still there, and would be used as it is.

    Raises:
        DocsQAError: a command failed, or a worker did not follow.
    """
    from database.index.store import open_store

    store = await asyncio.to_thread(open_store, index.job.ours)
    kinds = [SEARCH, ANSWER]
    with closing(store):
        async with http_client() as http, load(workers, asked, rate, kinds) as requests:
            await asyncio.sleep(_WARM_UP_SHARE * calm_seconds)
            begun = time.perf_counter()
            await asyncio.sleep(calm_seconds)
            calm_until = time.perf_counter()
            mover = _Mover(http, workers, store)
            other = index.build("other-model", index.other_model)
            moves = [
                await mover.move("build with another model", other),
                await mover.move("rollback", _roll_back(index, "rollback")),
                await mover.move("rollback of the rollback", _roll_back(index, "rollback-again")),
            ]
            change_a_page()
            moves.append(
                await mover.move("build with the first model again", index.build("first-model"))
            )
            await asyncio.sleep(calm_seconds)
    return MovesFigures(
        moves,
        calm=[request for request in requests if begun <= request.sent < calm_until],
        meanwhile=[request for request in requests if request.sent >= calm_until],
    )


async def _roll_back(index: LivingIndex, name: str) -> Built:
    ran = await index.run(name, "./utils/db_builder.py", "--rollback", "-db", index.job.ours)
    return Built(ran.seconds, chunks=0, embedded=0)


@dataclass(frozen=True, slots=True)
class _Mover:
    http: "httpx.AsyncClient"
    workers: Sequence[str]
    store: "Store"

    async def move(self, name: str, command: Awaitable[Built]) -> Move:
        """Run a command that moves the pointer, and watch who follows when."""
        before = await asyncio.to_thread(self.store.live)
        watching = asyncio.create_task(self._watch(before))
        try:
            built = await command
            followed = await asyncio.wait_for(watching, _MAX_SECONDS)
        except TimeoutError:
            raise DocsQAError(f"After the {name}, the workers did not follow.") from None
        finally:
            watching.cancel()
        return Move(name, built.seconds, built.embedded, followed)

    async def _watch(self, before: "LivePointer | None") -> list[float]:
        """Wait for the pointer to move, then for each worker."""
        while True:
            live = await asyncio.to_thread(self.store.live)
            if live and before and live.name != before.name:
                break
            await asyncio.sleep(_LOOK_EVERY)
        moved = time.perf_counter()
        following = [self._followed(worker, live.revision, moved) for worker in self.workers]
        return list(await asyncio.gather(*following))

    async def _followed(self, worker: str, revision: int, moved: float) -> float:
        while True:
            ready = (await self.http.get(f"{worker}/readyz")).json()
            if ready["index"]["revision"] >= revision:
                return time.perf_counter() - moved
            await asyncio.sleep(_LOOK_EVERY)


def moves_measures(figures: MovesFigures) -> list[Measure]:
    """How long each move took, and what came of the requests."""
    measures = []
    for move in figures.moves:
        measures += [
            Measure(f"{move.name}, s", move.seconds),
            Measure(f"{move.name}, chunks embedded", move.embedded),
            Measure(f"{move.name}, pointer moved, one worker on it after s", min(move.followed)),
            Measure(f"{move.name}, pointer moved, both workers on it after s", max(move.followed)),
        ]
    for kind in (SEARCH, ANSWER):
        for when, requests in (("before", figures.calm), ("during the moves", figures.meanwhile)):
            measures += [
                Measure(f"{kind} {when}, p50 ms", milliseconds(requests, 0.5, kind)),
                Measure(f"{kind} {when}, p99 ms", milliseconds(requests, 0.99, kind)),
            ]
    wrong = failures([*figures.calm, *figures.meanwhile])
    kinds = ", ".join(f"{count} {kind}" for kind, count in wrong.items())
    return [
        *measures,
        Measure("slowest request during the moves, ms", milliseconds(figures.meanwhile, 1.0)),
        Measure("requests before and during the moves", len(figures.calm) + len(figures.meanwhile)),
        Measure(
            f"requests that got no 200 with passages{f' ({kinds})' if kinds else ''}",
            sum(wrong.values()),
            target=Target("value", below=1),
        ),
    ]
