"""Fetches web pages into a dataset: reads the lists, fetches the pages, removes what vanished."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dataset.conversion import converter
from dataset.page_files import FileChanges, remove_temporary_files
from dataset.progress import Progress, ignore_progress
from dataset.web.file_names import FOLDER
from dataset.web.http.addresses import host_of
from dataset.web.http.client import WebClient
from dataset.web.http.guard import Guard
from dataset.web.http.hosts import HostLeftError, Sleep
from dataset.web.lists import PageListReader
from dataset.web.page_fetcher import PageFetcher
from dataset.web.pages import ConvertWebPage, convert_web_page
from dataset.web.problems import Problems
from dataset.web.removals import remove_vanished
from dataset.web.request import FetchRequest, PageList
from dataset.web.state import LOCK, NAME, WebState
from utils.errors import DatasetError, DocumentError

HOSTS_AT_ONCE = 4
_FILE_VERSION = 1
"""Increment it when the same page is written as another file."""


def fetch_web(
    folder: Path,
    request: FetchRequest,
    problems: Problems,
    *,
    convert: ConvertWebPage = convert_web_page,
    guard: Guard | None = None,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    replaceable: Collection[str] = (),
    progress: Progress = ignore_progress,
) -> FileChanges:
    """Bring the requested pages in the dataset up to date.

    They are written to the `web` folder below `folder`, the dataset's root; those of a guide to
    `folder` itself. `problems` receives what could not be fetched, `progress` the number of pages
    done. Files of the user are kept; the `replaceable` ones are of another source.

    Raises:
        DatasetError: no page could be fetched, or none written; the message states why.
    """
    root = request.guide.root
    web = folder if root else folder / FOLDER
    given = (source.where for source in request.lists if source.kind != "urls")
    guard = guard or Guard(given, intranet=request.intranet)
    version = f"{_FILE_VERSION}.{converter.VERSION}"
    try:
        web.mkdir(parents=True, exist_ok=True)
        with FileLock(web / LOCK, timeout=0), closing(WebState.open(web, root)) as state:
            remove_temporary_files(web, ".*.md.*.tmp" if root else "**/.*.tmp")
            client = WebClient(
                guard, rate=request.rate, at_once=request.at_once, contact=request.contact,
                sleep=sleep,
            )  # fmt: skip
            fetcher = PageFetcher(
                web, state, client, request, convert, version, now, replaceable=replaceable
            )
            return asyncio.run(_Run(fetcher, problems, progress).fetch_all())
    except Timeout as error:
        raise DatasetError(
            f"Another fetch is writing {web}. Wait until it has finished, or stop it."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"Cannot write to {web}: {error.strerror or error}. Give a folder that can be written."
        ) from error
    except sqlite3.Error as error:
        raise DatasetError(
            f"Cannot write {web / NAME}: {error}. Give a folder that can be written, with room; "
            "or delete it if it is damaged: all pages are then fetched again."
        ) from error


@dataclass
class _Run:
    """One run of fetch_web."""

    fetcher: PageFetcher
    problems: Problems
    progress: Progress
    outcomes: Counter[str] = field(default_factory=Counter)
    underway: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    """Pages by host."""
    total: int = 0

    async def fetch_all(self) -> FileChanges:
        state, request = self.fetcher.state, self.fetcher.request
        async with aclosing(self.fetcher.client):
            # Read the lists, and note the pages that they name.
            read = await self._read_lists_in_time()
            hosts = state.pages_by_host()
            self.total = sum(hosts.values())
            # Fetch the pages that are not current, several hosts at once.
            slots = asyncio.Semaphore(HOSTS_AT_ONCE)
            await _all(self._fetch_host(host, pages, slots) for host, pages in hosts.items())
        # Remove the pages that are gone, or that no list names any more.
        removed = remove_vanished(
            state, self.fetcher.folder, read,
            allowed=request.allow_removals, report=self.problems.add,
        )  # fmt: skip
        kept = tuple(sorted(self.fetcher.kept))
        changes = FileChanges(**self.outcomes, removed=removed, kept=kept)
        if not changes.present and not removed and self.problems.count:
            raise DatasetError("No page could be fetched.")
        return changes

    async def _read_lists_in_time(self) -> list[tuple[PageList, int]]:
        client, request = self.fetcher.client, self.fetcher.request
        try:
            async with asyncio.timeout(request.answer_seconds) as client.patience:
                return await self._read_lists()
        except TimeoutError as error:
            raise DatasetError(
                f"{request.lists[0].where} is not answered within {request.answer_seconds:g} s."
            ) from error
        finally:
            client.patience = None

    async def _read_lists(self) -> list[tuple[PageList, int]]:
        """Note the pages of the lists; return the completely read ones, with their size before."""
        state, client, request = self.fetcher.state, self.fetcher.client, self.fetcher.request
        complete = []
        for source in request.lists:
            before = state.count(source.name)
            reader = PageListReader(source, request, client, self.problems.add)
            try:
                async for batch in reader.batches():
                    if source.kind == "urls":
                        client.guard.allow_named(url for url, _ in batch)
                    state.add_named(source.name, batch)
            except DocumentError as error:
                left = isinstance(error, HostLeftError)
                self._report(
                    f"{host_of(source.where)}: {error}" if left else f"{source.where} {error}"
                )
                continue
            if reader.elsewhere:
                self.problems.add(
                    f"{source.where} names {reader.elsewhere} pages of other hosts, which are "
                    "left out; --other-hosts takes them"
                )
            if not state.count(source.name, in_this_run=True):
                self._report(f"{source.where} names no page that is requested")
            if reader.complete:
                complete.append((source, before))
        return complete

    def _report(self, problem: str) -> None:
        """Add a problem with a list; a guide's only list is needed."""
        if self.fetcher.request.guide.root:
            raise DatasetError(f"{problem}.")
        self.problems.add(problem)

    async def _fetch_host(self, host: str, pages: int, slots: asyncio.Semaphore) -> None:
        async with slots:
            due = self._due(host)
            try:
                await _all(
                    self._fetch_pages(host, due) for _ in range(self.fetcher.request.at_once)
                )
            except HostLeftError as error:
                left = pages - self.done[host]
                self.problems.add(f"{host}: {error}; {left} pages not requested")

    def _due(self, host: str) -> Iterator[tuple[str, str]]:
        while due := [
            page for page in self.fetcher.state.due(host) if page[0] not in self.underway
        ]:
            yield from due

    async def _fetch_pages(self, host: str, due: Iterator[tuple[str, str]]) -> None:
        fetcher, limit = self.fetcher, self.fetcher.request.limit
        for url, listed in due:
            if limit is not None and fetcher.requested >= limit:
                return
            self.underway.add(url)
            try:
                if outcome := await fetcher.fetch(url, listed):
                    self.outcomes[outcome] += 1
            except HostLeftError:
                raise
            except DocumentError as error:
                self.problems.add(f"{url} {error}")
            finally:
                self.underway.discard(url)
            self.done[host] += 1
            self.progress(self.done.total(), self.total)


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines at the same time; if one fails, the others are cancelled."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
