"""Reads lists of pages: sitemaps, llms.txt, files."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from dataset.web import sitemap
from dataset.web.http.addresses import host_of, normal, shown
from dataset.web.http.client import Bounds, WebClient
from dataset.web.http.responses import Response
from dataset.web.links import link_targets
from dataset.web.pages import page_kind
from dataset.web.request import FetchRequest, PageList
from utils.errors import DocumentError

NamedPage = tuple[str, str]
"""A page's normalized address, and when it was changed; "" if unknown."""

MAX_PAGES = 100_000
MAX_SITEMAPS = 1000
_SITEMAP = Bounds(sitemap.MAX_BYTES, seconds=300.0)
_TEXT = Bounds(10 * 1024 * 1024, seconds=120.0)
_BATCH = 1000


@dataclass
class PageListReader:
    """Reads one list in batches."""

    source: PageList
    request: FetchRequest
    client: WebClient
    report: Callable[[str], None]
    complete: bool = True
    """True if all of it was read; only then may pages that it does not name be removed."""
    elsewhere: int = 0
    """Number of pages of other hosts that were skipped."""

    def __post_init__(self) -> None:
        self._hosts = set() if self.source.kind == "urls" else {host_of(self.source.where)}

    async def batches(self) -> AsyncIterator[list[NamedPage]]:
        """Yield the requested pages that the list names.

        Raises:
            DocumentError: the list cannot be read; the batches before are valid.
        """
        batch: list[NamedPage] = []
        count = 0
        async for address, base, changed in self._read_entries():
            if not (named := self._requested(address, base, changed)):
                continue
            if count == MAX_PAGES:
                self._incomplete(f"names more than {MAX_PAGES:,} pages; the rest is skipped")
                break
            count += 1
            batch.append(named)
            if len(batch) == _BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _read_entries(self) -> AsyncIterator[tuple[str, str, str]]:
        """Yield every page's address as written, the list's address, and the date of change."""
        where = self.source.where
        match self.source.kind:
            case "url":
                yield where, where, ""
            case "urls":
                for line in _lines(Path(where)):
                    yield line, "", ""
            case "sitemap":
                async for found in self._sitemaps():
                    yield found
            case "llms.txt":
                response = await self._get(where, _TEXT)
                for target in _links(response):
                    yield target, response.url, ""

    async def _sitemaps(self) -> AsyncIterator[tuple[str, str, str]]:
        """Read a sitemap, and the sitemaps that it names."""
        waiting = deque([self.source.where])
        seen = {self.source.where}
        while waiting:
            url = waiting.popleft()
            try:
                response = await self._get(url, _SITEMAP)
                for at, entry in enumerate(sitemap.sitemap_entries(response.content)):
                    if not entry.is_sitemap:
                        yield entry.address, response.url, entry.changed
                    elif (inner := self._inner(entry.address, response.url)) and inner not in seen:
                        if len(seen) > MAX_SITEMAPS:
                            self._incomplete(f"names more than {MAX_SITEMAPS} sitemaps")
                            return
                        seen.add(inner)
                        waiting.append(inner)
                    if at % _BATCH == 0:
                        await asyncio.sleep(0)
            except DocumentError as error:
                if url == self.source.where:
                    raise
                self._incomplete(f"names {url}, which {error}")

    def _inner(self, address: str, base: str) -> str:
        """The address of a sitemap that a sitemap names; "" if it must not be read."""
        try:
            inner = normal(address, base)
        except DocumentError as error:
            self._incomplete(f"names a sitemap that {error}")
            return ""
        if not self._is_own(inner):
            self._incomplete(f"names a sitemap of another host, {host_of(inner)}")
            return ""
        return inner

    async def _get(self, url: str, bounds: Bounds) -> Response:
        response = await self.client.get(url, bounds=bounds)
        if response.status != HTTPStatus.OK:
            raise DocumentError(response.problem())
        if url == self.source.where:
            self._hosts.add(host_of(response.url))
        return response

    def _requested(self, address: str, base: str, changed: str) -> NamedPage | None:
        """A page in its normalized form; None if it is not requested."""
        try:
            url = self.request.guide.spelled(normal(address, base))
        except DocumentError as error:
            if self.source.kind == "urls":
                self._incomplete(f"names {shown(address)!r}, which {error}")
            return None
        if self.request.guide.root and not self.request.guide.has_page(url):
            return None
        if not self._is_own(url):
            self.elsewhere += 1
            return None
        return (url, changed) if self.request.matches(url) else None

    def _is_own(self, url: str) -> bool:
        return self.request.other_hosts or not self._hosts or host_of(url) in self._hosts

    def _incomplete(self, problem: str) -> None:
        self.complete = False
        self.report(f"{self.source.where} {problem}")


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                address = line.partition(" #")[0].strip()
                if address and not address.startswith("#"):
                    yield address
    except UnicodeDecodeError as error:
        raise DocumentError("is not UTF-8 text") from error
    except OSError as error:
        raise DocumentError(f"cannot be read ({error.strerror})") from error


def _links(response: Response) -> Iterator[str]:
    if page_kind(response) == "html":
        raise DocumentError("is HTML, not markdown")
    return link_targets(response.content.decode(errors="replace"))
