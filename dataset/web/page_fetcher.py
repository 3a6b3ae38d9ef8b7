"""Fetches a page that is not current, and writes its file."""

import asyncio
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from dataset.dates import iso_instant
from dataset.page_files import WriteOutcome, nearest, write_atomically
from dataset.web.http.client import WebClient
from dataset.web.http.hosts import HostLeftError
from dataset.web.http.responses import Response, Validators
from dataset.web.pages import (
    ConvertWebPage,
    WebPage,
    is_titled_markdown,
    is_users_page,
    page_from_response,
)
from dataset.web.request import FetchRequest
from dataset.web.state import PageRecord, WebState
from utils.errors import DocumentError

_MAX_TRUST = timedelta(days=30)
"""How long a list's date is trusted without a request to the page's host."""


@dataclass(slots=True)
class PageFetcher:
    """Fetches the pages of one run."""

    folder: Path
    """The folder of the pages."""
    state: WebState
    client: WebClient
    request: FetchRequest
    convert: ConvertWebPage
    version: str
    """Version of the conversion; pages that another one wrote are fetched again."""
    now: Callable[[], datetime]
    replaceable: Collection[str] = ()
    """Files of another source, which the pages replace."""
    requested: int = 0
    """Number of pages requested."""
    kept: set[str] = field(default_factory=set)
    """Files of the user in the places of pages."""

    async def fetch(self, url: str, listed: str) -> WriteOutcome | None:
        """Bring a page up to date; None if it has no file of its own (any more).

        `url` is normalized; `listed` is when it changed according to the lists, "" if unknown.

        Raises:
            HostLeftError: its host is not asked any more; the state is unchanged.
            DocumentError: it cannot be fetched; its file is kept.
        """
        record = self.state.record(url)
        intact = self._intact(record)
        if intact and self._is_fresh(record, listed):
            self._note_tried(url, gone=0)
            return "unchanged"
        self.requested += 1
        try:
            known = record.validators if intact else Validators()
            form, response = await self._request_page(record, known)
            if response.gone:
                self._note_gone(record, response)
                return None
            if response.status == HTTPStatus.NOT_MODIFIED:
                self._update(record, response, asked=form)
                return "unchanged"
            self._check_final(response)
            page = await asyncio.to_thread(
                page_from_response, response, self.convert, listed, self.request.guide.spelled
            )
        except DocumentError as error:
            if not isinstance(error, HostLeftError):
                self._note_tried(url, gone=0)
            raise
        # Another page that was fetched meanwhile may have taken over its file, or left its own.
        current = self.state.record(url)
        return self._write(current, page, response, form, intact=intact and current == record)

    async def _request_page(self, record: PageRecord, known: Validators) -> tuple[str, Response]:
        """Request the page in its forms, starting with the one that succeeded last time.

        Returns the form and a response: with the page, "not modified", or "gone".
        """
        forms = sorted(self.request.guide.forms(record.url), key=lambda form: form != record.asked)
        problem: DocumentError | None = None
        gone: Response | None = None
        for form in forms:
            try:
                response = await self.client.get(form, known)
            except DocumentError as error:
                if isinstance(error, HostLeftError):
                    raise
                problem = problem or error
                continue
            if self._is_useful(record, form, response, known):
                return form, response
            if response.gone:
                gone = response
            elif form == record.url:
                problem = problem or DocumentError(response.problem())
        if problem or not gone:
            raise problem or DocumentError("returned nothing to read")
        return forms[0], gone

    def _is_useful(
        self, record: PageRecord, form: str, response: Response, known: Validators
    ) -> bool:
        if response.status == HTTPStatus.NOT_MODIFIED:
            # Only the address that issued the validators can confirm them.
            return bool(known.headers()) and response.url == known.url
        if response.status != HTTPStatus.OK:
            return False
        # A host may respond with an error page (200) to a form that it lacks.
        right = self.request.guide.spelled(response.url) == record.url
        return form == record.url or (right and is_titled_markdown(response))

    def _check_final(self, response: Response) -> None:
        guide = self.request.guide
        if guide.root and not guide.has_page(response.url):
            raise DocumentError(f"is redirected to {response.url}, outside the guide")

    def _note_gone(self, record: PageRecord, response: Response) -> None:
        """Note that a page is gone; its file is removed at the end of the run."""
        self._note_tried(record.url, gone=self.state.run, status=response.status)
        if not record.file:
            raise DocumentError(response.problem())

    def _write(
        self, record: PageRecord, page: WebPage, response: Response, form: str, *, intact: bool
    ) -> WriteOutcome | None:
        final = self.request.guide.spelled(response.url)
        file = self.state.claim(record, final)
        if file and self._is_users(file, record.url, record.final, final, page.url):
            self._keep(file, record.url)
            file = None
        if file is None:
            moment = iso_instant(self.now())
            self._note_tried(record.url, checked=moment, status=response.status)
            return None
        outcome: WriteOutcome = "unchanged"
        written = record.written
        # A new validator or date alone is not a change.
        if not intact or record.file != file or record.content != page.content_hash:
            content = page.to_file()
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            outcome = write_atomically(path, content)
            written = _hash(content)
        self._update(
            record, response, asked=form, final=final, answered=response.url, etag=response.etag,
            modified=response.modified, content=page.content_hash, written=written,
            fetched=iso_instant(self.now()), version=self.version,
        )  # fmt: skip
        return outcome

    def _is_users(self, file: str, *urls: str) -> bool:
        path, root = self.folder / file, self.request.guide.root
        return file not in self.replaceable and is_users_page(path, *urls, root=root)

    def _keep(self, file: str, url: str) -> None:
        """Leave the user what is in the place of a page, which then has no file."""
        self.kept.add(nearest(self.folder / file).relative_to(self.folder).as_posix())
        self.state.release(url)

    def _update(self, record: PageRecord, response: Response, **columns: str | int) -> None:
        checked = iso_instant(self.now())
        self._note_tried(record.url, gone=0, checked=checked, status=response.status, **columns)

    def _note_tried(self, url: str, **columns: str | int) -> None:
        self.state.update(url, tried=self.state.run, **columns)

    def _intact(self, record: PageRecord) -> bool:
        """True if the file is unchanged, and from the current version of the conversion."""
        if not record.file or not record.written or record.version != self.version:
            return False
        path = self.folder / record.file
        try:
            # A pipe must not be read.
            return path.is_file() and _hash(path.read_bytes()) == record.written
        except OSError:
            return False

    def _is_fresh(self, record: PageRecord, listed: str) -> bool:
        """True if the date in a list makes a request unnecessary."""
        if not listed or record.checked < iso_instant(self.now() - _MAX_TRUST):
            return False
        if len(listed) == len("2024-01-01"):
            # The page may have changed until the end of that day.
            listed = (date.fromisoformat(listed) + timedelta(days=1)).isoformat()
        return listed < record.checked


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
