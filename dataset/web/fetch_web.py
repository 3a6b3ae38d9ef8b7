"""Fetches web pages into a dataset: reads the lists, fetches the pages, removes what vanished."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from dataset.conversion import converter
from dataset.page_files import FileChanges, remove_temporary_files
from dataset.progress import Progress, ignore_progress
from dataset.web.file_names import FOLDER
from dataset.web.http.client import WebClient
from dataset.web.http.guard import Guard
from dataset.web.http.hosts import HostLeftError, Sleep
from dataset.web.lists import PageListReader
from dataset.web.page_fetcher import PageFetcher
from dataset.web.pages import ConvertWebPage, convert_web_page
from dataset.web.removals import remove_vanished
from dataset.web.request import FetchRequest, PageList
from dataset.web.state import NAME, WebState
from utils.errors import DatasetError, DocumentError

HOSTS_AT_ONCE = 4
_FILE_VERSION = 1
"""Increment it when the same page is written as another file."""
_LOCK = ".lock"
_MAX_PROBLEM_LINES = 20


@dataclass
class Problems:
    """Problems with single pages and lists: the first ones, and their number."""

    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: str) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.lines) < _MAX_PROBLEM_LINES:
            self.lines.append(line)

    def summary(self) -> list[str]:
        """The first lines, and how many more there are."""
        more = self.count - len(self.lines)
        return [*self.lines, *([f"and {more} more of the kind"] if more else [])]


def fetch_web(
    folder: Path,
    request: FetchRequest,
    problems: Problems,
    *,
    convert: ConvertWebPage = convert_web_page,
    guard: Guard | None = None,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = ignore_progress,
) -> FileChanges:
    """Bring the requested pages in the dataset up to date.

    They are written to the `web` folder below `folder`, the dataset's root. `problems` receives
    what could not be fetched, `progress` the number of pages done.

    Raises:
        DatasetError: no page could be fetched, or none written; the message states why.
    """
    web = folder / FOLDER
    given = (source.where for source in request.lists if source.kind != "urls")
    guard = guard or Guard(given, intranet=request.intranet)
    version = f"{_FILE_VERSION}.{converter.VERSION}"
    try:
        web.mkdir(parents=True, exist_ok=True)
        with FileLock(web / _LOCK, timeout=0), closing(WebState.open(web)) as state:
            remove_temporary_files(web, "**/.*.tmp")
            client = WebClient(guard, rate=request.rate, contact=request.contact, sleep=sleep)
            fetcher = PageFetcher(web, state, client, request, convert, version, now)
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
    done: int = 0
    total: int = 0

    async def fetch_all(self) -> FileChanges:
        state, request = self.fetcher.state, self.fetcher.request
        async with aclosing(self.fetcher.client):
            # Read the lists, and note the pages that they name.
            read = await self._read_lists()
            hosts = state.pages_by_host()
            self.total = sum(hosts.values())
            # Fetch the pages that are not current, several hosts at once.
            slots = asyncio.Semaphore(HOSTS_AT_ONCE)
            tasks = [
                asyncio.create_task(self._fetch_host(host, pages, slots))
                for host, pages in hosts.items()
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        # Remove the pages that are gone, or that no list names any more.
        removed = remove_vanished(
            state, self.fetcher.folder, read,
            allowed=request.allow_removals, report=self.problems.add,
        )  # fmt: skip
        changes = FileChanges(**self.outcomes, removed=removed)
        if not changes.present and not removed and self.problems.count:
            raise DatasetError("No page could be fetched.")
        return changes

    async def _read_lists(self) -> list[tuple[PageList, int]]:
        """Note the pages of the lists; return the completely read ones, with their size before."""
        state, client, request = self.fetcher.state, self.fetcher.client, self.fetcher.request
        complete = []
        missing: list[str] = []
        for source in request.lists:
            before = state.count(source.name)
            reader = PageListReader(source, request, client, self.problems.add)
            try:
                async for batch in reader.batches():
                    if source.kind == "urls":
                        client.guard.allow_named(url for url, _ in batch)
                    state.add_named(source.name, batch)
            except DocumentError as error:
                optional = source.optional and not before
                (missing.append if optional else self.problems.add)(f"{source.where} {error}")
                continue
            if reader.elsewhere:
                self.problems.add(
                    f"{source.where} names {reader.elsewhere} pages of other hosts, which are "
                    "left out; --other-hosts takes them"
                )
            if not state.count(source.name, in_this_run=True):
                self.problems.add(f"{source.where} names no page that is requested")
            if reader.complete:
                complete.append((source, before))
        if not complete:
            for line in missing:
                self.problems.add(line)
        return complete

    async def _fetch_host(self, host: str, pages: int, slots: asyncio.Semaphore) -> None:
        fetcher, limit = self.fetcher, self.fetcher.request.limit
        async with slots:
            done = 0
            while due := fetcher.state.due(host):
                for url, listed in due:
                    if limit is not None and fetcher.requested >= limit:
                        return
                    try:
                        if outcome := await fetcher.fetch(url, listed):
                            self.outcomes[outcome] += 1
                    except HostLeftError as error:
                        self.problems.add(f"{host}: {error}; {pages - done} pages not requested")
                        return
                    except DocumentError as error:
                        self.problems.add(f"{url} {error}")
                    done += 1
                    self.done += 1
                    self.progress(self.done, self.total)
