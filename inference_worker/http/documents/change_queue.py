"""Queues changes of documents as jobs, and waits for them without blocking the event loop."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial

from database.changing.changer import SplitDocument
from database.changing.job_runner import JobRunner, splitter_for_recipe
from database.index.disk_space import check_space, row_bytes, stored_bytes
from database.index.fingerprint import Recipe
from database.index.lock import HEARTBEAT_SECONDS, locked_error, read_holder
from database.index.lock_holder import is_change
from database.index.store import LONG_REQUEST_SECONDS, Store, connect
from database.journal.jobs import DocumentOutcome, Job, Jobs, Precondition
from database.journal.uploads import Uploads
from database.reading.reader import Reader
from dataset.documents import Document
from inference_worker.answering.answerer import Answerer
from inference_worker.http.documents.change_acceptance import finish_if_unchanged, record_job
from inference_worker.http.documents.writer_monitor import WriterMonitor
from inference_worker.logs.audit import audit
from utils.errors import DocsQAError, IndexLockedError
from utils.settings import Settings

_POLL_SECONDS = 1.0
"""Interval for polling a job that another replica may be running."""


class ChangeQueue:
    """Accepts jobs, and waits for those in progress.

    The answerer's cached answers are invalidated with the documents that they mention.
    """

    def __init__(
        self,
        reader: Reader,
        answerer: Answerer,
        settings: Settings,
        splitter: Callable[[Recipe], SplitDocument] | None = None,
    ) -> None:
        self._reader = reader
        self._answerer = answerer
        self._settings = settings
        self._waiting: dict[asyncio.Future[Job], str] = {}
        """The id of the job that each request waits for."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch = WriterMonitor(HEARTBEAT_SECONDS)
        self._runner = JobRunner(
            reader,
            settings.database,
            splitter=splitter or partial(splitter_for_recipe, settings),
            open_store=partial(connect, settings, timeout=LONG_REQUEST_SECONDS),
            finished=self._job_finished,
            forget_answers=self._forget_answers,
        )

    def start(self) -> None:
        """Start running jobs; if no key can allow changes, older ones stay queued."""
        self._loop = asyncio.get_running_loop()
        settings = self._settings
        if settings.admin_key or settings.keys_file or settings.oidc_issuer:
            self._runner.start()

    async def stop(self) -> None:
        """Stop running jobs."""
        await asyncio.to_thread(self._runner.stop)

    async def put(
        self,
        documents: Sequence[Document],
        refused: Sequence[DocumentOutcome],
        condition: Precondition,
    ) -> Job:
        """Queue documents to be added or replaced.

        Raises:
            IndexLockedError: a build is writing the index.
            DiskFullError: the disk of the index has too little room.
            IndexUnavailableError: there is no index to change.
        """
        job = Job.new("put", condition=condition, outcomes=tuple(refused))
        return await asyncio.to_thread(
            self._accept,
            job,
            [document.name for document in documents],
            lambda store: Uploads(store).add(job.id, documents),
            lambda store: finish_if_unchanged(store, self._reader.state, job, documents),
            needed=row_bytes([document.text for document in documents]),
        )

    async def delete(self, name: str, *, purge: bool, condition: Precondition) -> Job:
        """Queue the deletion of a document.

        Raises:
            IndexLockedError: a build is writing the index.
            DiskFullError: the disk of the index has too little room.
            IndexUnavailableError: there is no index to change.
        """
        job = Job.new("purge" if purge else "delete", condition=condition)
        database = self._settings.database
        return await asyncio.to_thread(
            self._accept,
            job,
            [name],
            lambda store: Uploads(store).add_deletion(job.id, name),
            needed=stored_bytes(database) if purge else 0,  # it copies everything
        )

    async def find(self, id_: str) -> Job | None:
        """A job; once it has ended, this service's reader has followed it."""
        job = await asyncio.to_thread(lambda: Jobs(self._reader.store()).find(id_))
        if job and job.is_finished:
            snapshot = self._reader.state
            if snapshot is None or snapshot.live.revision < job.revision:
                await asyncio.to_thread(self._reader.refresh)
        return job

    async def wait(self, job: Job, seconds: float) -> Job:
        """Wait for a job to end; return it unfinished after `seconds`.

        Also while the store is unreachable: the job was accepted, and will be run.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiting[future] = job.id
        try:
            while not job.is_finished:
                left = deadline - asyncio.get_running_loop().time()
                done, _ = await asyncio.wait({future}, timeout=max(0.0, min(left, _POLL_SECONDS)))
                if done:
                    return future.result()
                with contextlib.suppress(DocsQAError):
                    job = await self.find(job.id) or job
                if left <= 0:
                    break
        finally:
            del self._waiting[future]
        return job

    def _accept(
        self,
        job: Job,
        names: Sequence[str],
        accept: Callable[[Store], None],
        finish_early: Callable[[Store], Job | None] = lambda store: None,
        *,
        needed: int,
    ) -> Job:
        """Record and queue a job that needs so much disk, unless `finish_early` ends it."""
        store = self._reader.store()
        holder = read_holder(store)
        # A build that died without releasing the lock does not block: the job runner takes it over.
        if holder and not is_change(holder) and not self._watch.found_dead(store, holder):
            raise locked_error(store, holder)
        self._runner.claim()
        check_space(store.database, needed)
        if (ended := finish_early(store)) is not None:
            return ended
        job = record_job(store, job, accept)
        audit("change accepted", kind=job.kind, documents=list(names), job=job.id)
        self._runner.wake()
        return job

    def _job_finished(self, job: Job) -> None:
        """Record the outcome, and wake the requests that wait; called from the runner's thread."""
        outcomes = {each.name: each.outcome for each in job.outcomes}
        audit("change finished", job=job.id, outcomes=outcomes, problem=job.problem or "")
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, job)

    def _wake(self, job: Job) -> None:
        for future, id_ in self._waiting.items():
            if id_ == job.id and not future.done():
                future.set_result(job)

    def _forget_answers(self, name: str) -> int:
        """Invalidate the answers that mention a document; called from the job runner's thread."""

        async def forget() -> int:
            return self._answerer.invalidate(name)

        if self._loop is None:
            return 0
        coroutine = forget()
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)
        except (RuntimeError, TimeoutError) as error:
            coroutine.close()
            raise IndexLockedError(
                "The service is stopping; the job ends after its restart."
            ) from error
