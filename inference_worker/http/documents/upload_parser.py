"""Parses uploads into documents: one file as the body, or several as parts of a form."""

import asyncio
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from database.journal.jobs import DocumentOutcome
from dataset.conversion.converter import Limits
from dataset.dates import iso_date
from dataset.documents import Document, check_name, normal_name, read_document
from dataset.frontmatter import Frontmatter
from dataset.web_address import is_web_address
from inference_worker.http.documents.problems import DOCUMENT_REFUSED
from inference_worker.http.event_stream import CLIENT_CLOSED_REQUEST
from inference_worker.http.problems import BODY_TOO_LARGE, ProblemError
from utils.errors import DocumentError, OverloadedError
from utils.settings import Settings

MAX_FILES = 100
_CONVERSIONS = 2
"""Files that are converted at once; each occupies a core."""
MAX_UPLOADS = 8
"""Uploads in progress: each may occupy the memory of its body."""
_WAIT = re.compile(r"\bwait=(\d{1,9})")
_DEFAULT_WAIT, _MAX_WAIT = 10.0, 60.0


@dataclass
class UploadParser:
    """Parses uploads, a few files at once."""

    settings: Settings
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONVERSIONS))
    _uploads: int = 0

    async def parse_body(self, request: Request, name: str, given: Frontmatter) -> Document:
        """The document in a request's body.

        Raises:
            ProblemError: the document is refused.
            OverloadedError: too many uploads are in progress.
        """
        try:
            check_name(name)
            with self._upload():
                content = b"".join([part async for part in request.stream()])
                return await self._read(content, name, given)
        except ClientDisconnect as error:
            raise HTTPException(CLIENT_CLOSED_REQUEST) from error
        except DocumentError as error:
            raise ProblemError(DOCUMENT_REFUSED, f"{name}: {error}") from error

    async def parse_form(self, request: Request) -> tuple[list[Document], list[DocumentOutcome]]:
        """The documents in a form's `files`, and the outcomes of those that are refused.

        Raises:
            ProblemError: the form has no files.
            OverloadedError: too many uploads are in progress.
        """
        with self._upload():
            return await self._parse_form(request)

    @contextmanager
    def _upload(self) -> Iterator[None]:
        if self._uploads >= MAX_UPLOADS:
            raise OverloadedError(f"{self._uploads} uploads are in progress")
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def _parse_form(self, request: Request) -> tuple[list[Document], list[DocumentOutcome]]:
        try:
            form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES)
        except ClientDisconnect as error:
            raise HTTPException(CLIENT_CLOSED_REQUEST) from error
        except HTTPException as error:
            if error.status_code == BODY_TOO_LARGE.status:
                raise
            raise ProblemError(DOCUMENT_REFUSED, error.detail) from error
        try:
            files = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
            if not files or len(files) < len(form.multi_items()):
                raise ProblemError(
                    DOCUMENT_REFUSED,
                    "Send files as parts named `files`, each with a file name, and nothing else.",
                )
            return await self._all(files)
        finally:
            await form.close()

    async def _all(
        self, files: Sequence[UploadFile]
    ) -> tuple[list[Document], list[DocumentOutcome]]:
        documents: dict[str, Document] = {}
        refused: list[DocumentOutcome] = []
        for file in files:
            name = normal_name(file.filename or "")
            try:
                check_name(name)
                _check_new(name, documents)
                documents[name] = await self._read(await file.read(), name, Frontmatter())
            except DocumentError as error:
                # The form's charset may decode to lone surrogates, which a response cannot contain.
                shown = name.encode(errors="replace").decode()
                refused.append(DocumentOutcome(shown, "refused", reason=str(error)))
        return list(documents.values()), refused

    async def _read(self, content: bytes, name: str, given: Frontmatter) -> Document:
        limits = Limits(
            seconds=self.settings.conversion_seconds,
            memory_bytes=self.settings.conversion_memory_bytes,
        )
        async with self._free:
            return await asyncio.to_thread(read_document, content, name, given=given, limits=limits)


def _check_new(name: str, documents: Collection[str]) -> None:
    if name in documents:
        raise DocumentError("another file of this request has the same name")


def frontmatter_of(title: str, url: str, changed: str) -> Frontmatter:
    """The document's properties that a request states.

    Raises:
        ProblemError: the URL or the date is invalid.
    """
    if url and not is_web_address(url):
        raise ProblemError(
            DOCUMENT_REFUSED,
            "url: must be a valid http(s) address; escape other characters (%20 for a space)",
        )
    if changed and not iso_date(changed):
        raise ProblemError(
            DOCUMENT_REFUSED, "changed: must be a date in ISO 8601, such as 2026-03-01"
        )
    return Frontmatter(" ".join(title.split()), url, iso_date(changed))


def preferred_wait_seconds(request: Request) -> float:
    """Seconds that the client prefers to wait for the job (RFC 7240, `Prefer: wait=n`)."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(float(found.group(1)), _MAX_WAIT) if found else _DEFAULT_WAIT
