"""Fetches pages of the web into a dataset: read the lists, fetch the pages, let go of the rest."""

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
_FORM = 1
"""Raise it when the same page gives another file."""
_LOCK = ".lock"


@dataclass
class Troubles:
    """What went wrong with single pages and lists: the first ones, and how many there are."""

    most: int = 20
    lines: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, line: str) -> None:
        """Note a line."""
        self.count += 1
        if len(self.lines) < self.most:
            self.lines.append(line)

    def told(self) -> list[str]:
        """The lines to show."""
        more = self.count - len(self.lines)
        return [*self.lines, *([f"and {more} more of the kind"] if more else [])]


def fetch_web(
    folder: Path,
    request: FetchRequest,
    troubles: Troubles,
    *,
    convert: Convert | None = None,
    guard: Guard | None = None,
    sleep: Sleep = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Progress = ignore_progress,
) -> FileChanges:
    """Make the dataset hold the pages that were asked for, as they are now.

    Args:
        folder: The dataset's root; the pages go below its `web` folder.
        request: Which pages, and how.
        troubles: Told what could not be had.
        convert: Converts HTML; unless told, `dataset.conversion` does.
        guard: Makes the connections.
        sleep: Waits.
        now: The clock.
        progress: Told how far it has come.

    Raises:
        DatasetError: no page could be had, or none could be kept; the message says why.
    """
    from dataset.conversion.converter import VERSION
    from dataset.conversion.converter import convert as by_child

    web = folder / FOLDER
    guard = guard or Guard(request.named, intranet=request.intranet)
    try:
        web.mkdir(parents=True, exist_ok=True)
        with FileLock(web / _LOCK, timeout=0), closing(WebState.open(web)) as state:
            for leftover in web.rglob(".*.tmp"):
                leftover.unlink(missing_ok=True)
            run = _Run(web, state, request, troubles, progress)
            make = WebClient(guard, rate=request.rate, contact=request.contact, sleep=sleep)
            version = f"{_FORM}.{VERSION}"
            return asyncio.run(run.go(make, convert or by_child, version, now))
    except Timeout as error:
        raise DatasetError(
            f"Another fetch is writing {web}. Wait until it is through, or end it."
        ) from error
    except OSError as error:
        raise DatasetError(
            f"Cannot write to {web}: {error.strerror or error}. Give a folder that can be written."
        ) from error
    except sqlite3.Error as error:
        raise DatasetError(
            f"Cannot write {web / NAME}: {error}. Give a folder that can be written, with room; "
            "or delete it if it is damaged: all pages are then asked for anew."
        ) from error


class _Run:
    def __init__(
        self,
        web: Path,
        state: WebState,
        request: FetchRequest,
        troubles: Troubles,
        progress: Progress,
    ) -> None:
        self._web, self._state, self._request = web, state, request
        self._troubles, self._progress = troubles, progress
        self._outcomes: Counter[WriteOutcome] = Counter()
        self._done = self._total = 0

    async def go(
        self, client: WebClient, convert: Convert, version: str, now: Callable[[], datetime]
    ) -> FileChanges:
        run = self._state.next_run()
        async with client:
            read = await self._read_lists(client, run)
            wanted = self._state.wanted(run)
            self._total = sum(wanted.values())
            fetcher = PageFetcher(
                self._web, self._state, client, self._request, convert, version, run, now
            )
            slots = asyncio.Semaphore(HOSTS_AT_ONCE)
            tasks = [
                asyncio.create_task(self._fetch_host(fetcher, host, pages, run, slots))
                for host, pages in wanted.items()
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        removed = remove_vanished(
            self._state, self._web, run, read,
            allowed=self._request.allow_removals, trouble=self._troubles.add,
        )  # fmt: skip
        self._outcomes["removed"] = removed
        changes = FileChanges.count(self._outcomes)
        if not changes.present and not removed and self._troubles.count:
            raise DatasetError("No page could be had.")
        return changes

    async def _read_lists(self, client: WebClient, run: int) -> list[tuple[PageList, int]]:
        """Note what the lists name; give those that were read whole, and their size before."""
        whole = []
        missing: list[str] = []
        for source in self._request.lists:
            before = self._state.count(source.name)
            reading = PageListReader(source, self._request, client, self._troubles.add)
            try:
                async for batch in reading.batches():
                    if source.kind == "urls":
                        client.guard.name(url for url, _ in batch)
                    self._state.name(source.name, run, batch)
            except DocumentError as error:
                line = f"{source.where} {error}"
                if source.optional and not before:
                    missing.append(line)
                else:
                    self._troubles.add(line)
                continue
            if reading.elsewhere:
                self._troubles.add(
                    f"{source.where} names {reading.elsewhere} pages of other hosts, which are "
                    "left out; --other-hosts takes them"
                )
            if not self._state.count(source.name, run):
                self._troubles.add(f"{source.where} names no page that is asked for")
            if reading.whole:
                whole.append((source, before))
        if missing and not whole:
            for line in missing:
                self._troubles.add(line)
        return whole

    async def _fetch_host(
        self, fetcher: PageFetcher, host: str, pages: int, run: int, slots: asyncio.Semaphore
    ) -> None:
        limit = self._request.limit
        async with slots:
            done = 0
            while due := self._state.due(host, run):
                for url, listed in due:
                    if limit is not None and fetcher.asked >= limit:
                        return
                    try:
                        if outcome := await fetcher.fetch(url, listed):
                            self._outcomes[outcome] += 1
                    except HostLeftError as error:
                        self._troubles.add(f"{host}: {error}; {pages - done} pages not asked for")
                        return
                    except DocumentError as error:
                        self._troubles.add(f"{url} {error}")
                    done += 1
                    self._done += 1
                    self._progress(self._done, self._total)
