"""Single documents added, replaced and deleted, until another replica shows it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.endurance.living_index import ADMIN_KEY
from tests.endurance.living_load import SEARCH, Request, failures, http_client, load, milliseconds
from tests.endurance.living_pages import markdown_page, word, word_file
from utils.benchmark.report import Measure, Target
from utils.benchmark.services import percentile
from utils.errors import DocsQAError

if TYPE_CHECKING:
    import httpx

ADD, REPLACE, DELETE = "PUT of a new page", "PUT of a page's new text", "DELETE of a page"
ADD_WORD_FILE = "PUT of a new Word file"
_LOOK_EVERY = 0.02
_MAX_SECONDS = 60.0
"""A replica that has not followed by then never does."""
_KEY = {"Authorization": f"Bearer {ADMIN_KEY}", "Prefer": f"wait={_MAX_SECONDS:.0f}"}
_REFUSED = 422
_WARM_UP_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Change:
    """One document changed at one worker."""

    kind: str
    answered: float
    """Seconds from its sending."""
    followed: float
    """Seconds from its sending until the other worker showed it."""
    shown_at_once: bool
    """Whether the worker that had answered showed it in its next response."""


@dataclass(frozen=True, slots=True)
class ChangesFigures:
    """What changes took, and what they cost the searches meanwhile."""

    changes: Sequence[Change]
    calm: Sequence[Request]
    """Searches before."""
    meanwhile: Sequence[Request]


async def measure_changes(
    workers: Sequence[str],
    asked: Sequence[str],
    count: int,
    rate: float,
    calm_seconds: float,
    say: Callable[[str], None],
) -> ChangesFigures:
    """Add, replace and delete so many documents one by one, with searches at a rate.

    Raises:
        DocsQAError: a change was refused, or a replica did not follow.
    """
    async with http_client() as http, load(workers, asked, rate, [SEARCH]) as requests:
        await asyncio.sleep(_WARM_UP_SHARE * calm_seconds)
        begun = time.perf_counter()
        await asyncio.sleep(calm_seconds)
        calm_until = time.perf_counter()
        changing = _Changing(http, workers)
        await changing.all(count, say)
        ended = time.perf_counter()
    return ChangesFigures(
        changes=changing.changes,
        calm=[request for request in requests if begun <= request.sent < calm_until],
        meanwhile=[request for request in requests if calm_until <= request.sent < ended],
    )


@dataclass(slots=True)
class _Changing:
    """Changes one document after the other, at each worker in turn."""

    http: "httpx.AsyncClient"
    workers: Sequence[str]
    changes: list[Change] = field(default_factory=list)
    _written: int = 0

    async def all(self, count: int, say: Callable[[str], None]) -> None:
        """Add and replace pages, add Word files, and delete all of them."""
        pages = [f"benchmark-living/page-{number}.md" for number in range(count)]
        files = [f"benchmark-living/file-{number}.docx" for number in range(max(1, count // 2))]
        held = {name: await self._put(ADD, name, markdown_page) for name in pages}
        held |= {name: await self._put(REPLACE, name, markdown_page) for name in pages}
        for name in files:
            try:
                held[name] = await self._put(ADD_WORD_FILE, name, word_file)
            except RefusedError as refusal:
                say(f"No Word files: {refusal}")
                break
        for name, marked in held.items():
            await self._change(DELETE, "DELETE", name, marked)

    async def _put(self, kind: str, name: str, write: Callable[[str], bytes]) -> str:
        """Put a document; the made-up word that it has."""
        self._written += 1
        marked = word(self._written)
        await self._change(kind, "PUT", name, marked, write(marked))
        return marked

    async def _change(
        self, kind: str, method: str, name: str, marked: str, content: bytes = b""
    ) -> None:
        """Send a change, and look for the document until both workers show what it is now."""
        turn = len(self.changes) % 2
        answering, following = self.workers[turn], self.workers[1 - turn]

        async def is_shown(worker: str) -> bool:
            return await self._finds(worker, name, marked) == (method == "PUT")

        sent = time.perf_counter()
        address = f"{answering}/v1/documents/{name}"
        response = await self.http.request(method, address, content=content, headers=_KEY)
        answered = time.perf_counter() - sent
        if response.status_code not in (200, 201):
            refused = RefusedError if response.status_code == _REFUSED else DocsQAError
            said = f"status {response.status_code}: {response.text[:300]}"
            raise refused(f"{kind}: {said}")
        at_once = asyncio.create_task(is_shown(answering))
        while not await is_shown(following):
            if time.perf_counter() > sent + answered + _MAX_SECONDS:
                raise DocsQAError(f"{kind}: the other worker did not follow in {_MAX_SECONDS:g} s.")
            await asyncio.sleep(_LOOK_EVERY)
        followed = time.perf_counter() - sent
        self.changes.append(Change(kind, answered, followed, await at_once))

    async def _finds(self, worker: str, name: str, marked: str) -> bool:
        """Whether a search for a document's made-up word finds it."""
        response = await self.http.post(f"{worker}/v1/search", json={"query": marked})
        if response.status_code != 200:
            raise DocsQAError(f"A search was answered with status {response.status_code}.")
        passages = response.json()["passages"]
        return any(found["document"] == name and marked in found["text"] for found in passages)


class RefusedError(DocsQAError):
    """A file cannot be taken as a document."""


def changes_measures(figures: ChangesFigures) -> list[Measure]:
    """How long each kind of change took, and what searches took meanwhile."""
    measures = []
    for kind in dict.fromkeys(change.kind for change in figures.changes):
        of_kind = [change for change in figures.changes if change.kind == kind]
        answered = [change.answered for change in of_kind]
        followed = [change.followed for change in of_kind]
        measures += _milliseconds(f"{kind}, answered", answered)
        measures += _milliseconds(f"{kind}, shown by the other worker", followed)
    calm, meanwhile = (milliseconds(r, 0.5) for r in (figures.calm, figures.meanwhile))
    wrong = failures([*figures.calm, *figures.meanwhile])
    kinds = ", ".join(f"{count} {kind}" for kind, count in wrong.items())
    return [
        *measures,
        Measure(
            "from an answer until the other worker shows it, at most, s",
            max(change.followed - change.answered for change in figures.changes),
            target=Target("value", below=2),
        ),
        Measure(
            "changes that the worker that answered did not show at once",
            sum(not change.shown_at_once for change in figures.changes),
            target=Target("value", below=1),
        ),
        Measure("search with nothing else going on, p50 ms", calm),
        Measure("search while documents change, p50 ms", meanwhile),
        Measure("search while documents change, times as long", meanwhile / calm),
        Measure(
            f"searches meanwhile, failures{f' ({kinds})' if kinds else ''}",
            sum(wrong.values()),
            target=Target("value", below=1),
        ),
    ]


def _milliseconds(name: str, seconds: Sequence[float]) -> list[Measure]:
    return [
        Measure(f"{name}, p50 ms", 1000 * percentile(seconds, 0.5)),
        Measure(f"{name}, at most ms", 1000 * max(seconds)),
    ]
