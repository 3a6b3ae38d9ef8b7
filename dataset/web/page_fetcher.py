"""Fetches one page, if it is not current, and keeps it."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from dataset.dates import iso_instant
from dataset.page_files import WriteOutcome, write_atomically
from dataset.web.http.client import WebClient
from dataset.web.http.hosts import HostLeftError
from dataset.web.http.responses import Response, Validators
from dataset.web.page_record import PageRecord
from dataset.web.pages import Convert, WebPage, is_text, page_from_response
from dataset.web.request import FetchRequest
from dataset.web.state import WebState
from utils.errors import DocumentError

_TRUSTED_FOR = timedelta(days=30)
"""How long a list's word that a page has not changed is taken without asking the page's host."""


class PageFetcher:
    """Fetches the pages of one run."""

    def __init__(
        self,
        folder: Path,
        state: WebState,
        client: WebClient,
        request: FetchRequest,
        convert: Convert,
        version: str,
        run: int,
        now: Callable[[], datetime],
    ) -> None:
        """Make a fetcher.

        Args:
            folder: The web folder.
            state: Of that folder.
            client: Asks the hosts.
            request: What is asked for.
            convert: Converts HTML.
            version: Of the conversion; a page that another one made is fetched again.
            run: The run's number.
            now: The clock.
        """
        self._folder, self._state, self._client, self._request = folder, state, client, request
        self._convert, self._version, self._run, self._now = convert, version, run, now
        self.asked = 0
        """How many pages hosts were asked for."""

    async def fetch(self, url: str, listed: str) -> WriteOutcome | None:
        """Make a page current; None where it has no file of its own (any more).

        Args:
            url: As the lists name it, in its normal spelling.
            listed: When it was last changed according to the lists; "" if they do not say.

        Raises:
            HostLeftError: its host is left alone; nothing was noted of the page.
            DocumentError: it cannot be had; what is held stays.
        """
        held = self._state.held(url)
        intact = self._intact(held)
        if intact and self._is_fresh(held, listed):
            self._state.store(held.url, tried=self._run, gone=0)
            return "unchanged"
        self.asked += 1
        try:
            form, answer = await self._answer(held, held.validators if intact else Validators())
            if answer.gone:
                self._vanish(held, answer)
                return None
            if answer.status == HTTPStatus.NOT_MODIFIED:
                self._note(held, answer, asked=form)
                return "unchanged"
            page = await asyncio.to_thread(
                page_from_response,
                answer,
                self._convert,
                listed=listed,
                spelled=self._request.spelled,
            )
        except HostLeftError:
            raise
        except DocumentError:
            self._state.store(held.url, tried=self._run, gone=0)
            raise
        return self._keep(held, page, answer, form, intact=intact)

    async def _answer(self, held: PageRecord, known: Validators) -> tuple[str, Response]:
        """Ask for the page in its forms, that which was there last time first.

        Gives an answer with a page, or that nothing changed, or that the page is gone.
        """
        forms = sorted(self._request.forms(held.url), key=lambda form: form != held.asked)
        problem: DocumentError | None = None
        gone: Response | None = None
        for form in forms:
            try:
                answer = await self._client.get(form, known)
            except HostLeftError:
                raise
            except DocumentError as error:
                problem = problem or error
                continue
            if self._is_useful(held, form, answer, known):
                return form, answer
            if answer.gone:
                gone = answer
            elif form == held.url:
                problem = problem or DocumentError(answer.problem())
        if problem or not gone:
            raise problem or DocumentError("answers with nothing to read")
        return forms[0], gone

    def _is_useful(self, held: PageRecord, form: str, answer: Response, known: Validators) -> bool:
        if answer.status == HTTPStatus.NOT_MODIFIED:
            # Only who was asked whether something changed can say that it did not.
            return bool(known.headers()) and answer.url == known.url
        if answer.status != HTTPStatus.OK:
            return False
        # A host may answer for a form that it lacks with a page that says so.
        right = self._request.spelled(answer.url) == held.url and is_text(answer)
        return form == held.url or right

    def _vanish(self, held: PageRecord, answer: Response) -> None:
        """Note that a page is gone; its file goes when the run is through."""
        self._state.store(held.url, tried=self._run, gone=self._run, status=answer.status)
        if not held.file:
            raise DocumentError(answer.problem())

    def _keep(
        self, held: PageRecord, page: WebPage, answer: Response, form: str, *, intact: bool
    ) -> WriteOutcome | None:
        final = self._request.spelled(answer.url)
        file = self._state.claim(held, final, self._run)
        if file is None:
            moment = iso_instant(self._now())
            self._state.store(held.url, tried=self._run, checked=moment, status=answer.status)
            return None
        outcome: WriteOutcome = "unchanged"
        written = held.written
        # A host that only renames its content, or dates it anew, has not changed it.
        if not intact or held.file != file or held.content != page.content_hash:
            content = page.to_file()
            path = self._folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            outcome = write_atomically(path, content)
            written = hashlib.sha256(content).hexdigest()
        self._note(
            held, answer, asked=form, final=final, answered=answer.url, etag=answer.etag,
            modified=answer.modified, content=page.content_hash, written=written,
            fetched=iso_instant(self._now()), version=self._version,
        )  # fmt: skip
        return outcome

    def _note(self, held: PageRecord, answer: Response, **columns: str | int) -> None:
        moment = iso_instant(self._now())
        given: dict[str, str | int] = {
            "tried": self._run,
            "gone": 0,
            "checked": moment,
            "status": answer.status,
        }
        self._state.store(held.url, **(given | columns))

    def _intact(self, held: PageRecord) -> bool:
        """Whether the file is what was written, by the conversion that we have now."""
        if not held.file or not held.written or held.version != self._version:
            return False
        try:
            content = (self._folder / held.file).read_bytes()
        except FileNotFoundError:
            return False
        return hashlib.sha256(content).hexdigest() == held.written

    def _is_fresh(self, held: PageRecord, listed: str) -> bool:
        """Whether a list's date spares the request."""
        if not listed or held.checked < iso_instant(self._now() - _TRUSTED_FOR):
            return False
        if len(listed) == len("2024-01-01"):
            # The page may have changed until the end of that day.
            listed = (date.fromisoformat(listed) + timedelta(days=1)).isoformat()
        return listed < held.checked
