"""Fetches web pages into a dataset: reads the lists, fetches the pages, removes what vanished."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from dataset.page_files import FileChanges, WriteOutcome
from dataset.progress import Progress, ignore_progress
from dataset.web.file_names import FOLDER
from dataset.web.http.client import WebClient
from dataset.web.http.guard import Guard
from dataset.web.http.hosts import HostLeftError, Sleep
from dataset.web.lists import PageListReader
from dataset.web.page_fetcher import PageFetcher
from dataset.web.pages import Convert
from dataset.web.removals import remove_vanished
from dataset.web.request import FetchRequest, PageList
from dataset.web.state import NAME, WebState
from utils.errors import DatasetError, DocumentError

HOSTS_AT_ONCE = 4
_FILE_VERSION = 1
"""Increment it when the same page is written as another file."""
_LOCK = ".lock"


@dataclass
class Problems:
    """Problems with single pages and lists: the first ones, and their number."""

    max_lines: int = 20
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: str) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.lines) < self.max_lines:
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
    convert: Convert | None = None,
    guard: Guard | None = None,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = ignore_progress,
) -> FileChanges:
    """Bring the requested pages in the dataset up to date.

    Args:
        folder: The dataset's root; pages are written below its `web` folder.
        request: Which pages, and how to fetch them.
        problems: Receives what could not be fetched.
        convert: Converts HTML; by default `dataset.conversion`.
        guard: Makes the connections.
        sleep: Waits between requests.
        now: The clock.
        progress: Receives the number of pages done.

    Raises:
        DatasetError: no page could be fetched, or none written; the message states why.
    """
    from dataset.conversion.converter import VERSION
    from dataset.conversion.converter import convert as convert_in_child

    web = folder / FOLDER
    guard = guard or Guard(request.named, intranet=request.intranet)
    try:
        web.mkdir(parents=True, exist_ok=True)
        with FileLock(web / _LOCK, timeout=0), closing(WebState.open(web)) as state:
            for leftover in web.rglob(".*.tmp"):
                leftover.unlink(missing_ok=True)
            run = _Run(web, state, request, problems, progress)
            client = WebClient(guard, rate=request.rate, contact=request.contact, sleep=sleep)
            version = f"{_FILE_VERSION}.{VERSION}"
            return asyncio.run(run.fetch_all(client, convert or convert_in_child, version, now))
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

    web: Path
    state: WebState
    request: FetchRequest
    problems: Problems
    progress: Progress
    outcomes: Counter[WriteOutcome] = field(default_factory=Counter)
    done: int = 0
    total: int = 0

    async def fetch_all(
        self, client: WebClient, convert: Convert, version: str, now: Callable[[], datetime]
    ) -> FileChanges:
        run = self.state.next_run()
        async with client:
            # Read the lists, and note the pages that they name.
            read = await self._read_lists(client, run)
            hosts = self.state.pages_by_host(run)
            self.total = sum(hosts.values())
            # Fetch the pages that are not current, several hosts at once.
            fetcher = PageFetcher(
                self.web, self.state, client, self.request, convert, version, run, now
            )
            slots = asyncio.Semaphore(HOSTS_AT_ONCE)
            tasks = [
                asyncio.create_task(self._fetch_host(fetcher, host, pages, run, slots))
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
            self.state, self.web, run, read,
            allowed=self.request.allow_removals, report=self.problems.add,
        )  # fmt: skip
        self.outcomes["removed"] = removed
        changes = FileChanges.count(self.outcomes)
        if not changes.present and not removed and self.problems.count:
            raise DatasetError("No page could be fetched.")
        return changes

    async def _read_lists(self, client: WebClient, run: int) -> list[tuple[PageList, int]]:
        """Note the pages of the lists; return the completely read ones, with their size before."""
        complete = []
        missing: list[str] = []
        for source in self.request.lists:
            before = self.state.count(source.name)
            reader = PageListReader(source, self.request, client, self.problems.add)
            try:
                async for batch in reader.batches():
                    if source.kind == "urls":
                        client.guard.allow_named(url for url, _ in batch)
                    self.state.add_named(source.name, run, batch)
            except DocumentError as error:
                optional = source.optional and not before
                (missing.append if optional else self.problems.add)(f"{source.where} {error}")
                continue
            if reader.elsewhere:
                self.problems.add(
                    f"{source.where} names {reader.elsewhere} pages of other hosts, which are "
                    "left out; --other-hosts takes them"
                )
            if not self.state.count(source.name, run):
                self.problems.add(f"{source.where} names no page that is requested")
            if reader.complete:
                complete.append((source, before))
        if missing and not complete:
            for line in missing:
                self.problems.add(line)
        return complete

    async def _fetch_host(
        self, fetcher: PageFetcher, host: str, pages: int, run: int, slots: asyncio.Semaphore
    ) -> None:
        limit = self.request.limit
        async with slots:
            done = 0
            while due := self.state.due(host, run):
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
