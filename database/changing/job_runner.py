"""Runs the jobs of the documents API one at a time, in a thread of the service.

Any replica may run any job: the one that acquires the lock runs all pending jobs. A job that fails
because the store is unreachable or a build is running is retried later; one that cannot succeed
ends as failed.
"""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from database.changing import outcomes
from database.changing.changer import Changer, IndexingTools, JobListener, SplitDocument
from database.changing.deletion import rewrite_store, verify_deletion
from database.changing.vacuum_instructions import vacuum_instructions
from database.embedding.models import model_for
from database.index.fingerprint import Fingerprint, Recipe
from database.index.folder_owner import FolderOwner
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.jobs import Job, Jobs
from database.journal.purge import finish_purge, has_unfinished_purge
from database.journal.recovery import recover
from database.journal.uploads import Uploads
from database.reading.reader import IndexState, Reader
from dataset.splitting import CHUNKER_VERSION, ChunkSize, split_document
from utils.errors import (
    DocsQAError,
    EmbeddingApiError,
    EmbeddingRefusedError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    StoreProcessError,
    StoreUnreachableError,
)
from utils.priority import yield_to_event_loop
from utils.settings import Settings, build_command, is_server

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""Interval at which jobs are looked for that another replica accepted and did not finish."""
_MAX_RUNNERS = 10
"""How many processes may start a job without ending it, before the job counts as the cause."""
_MAX_TRIES = 3
"""How often a job is run that the store aborts, or hangs in. Rows deleted during a query, or a lock
of SQLite, make it fail once; damage makes it fail every time."""
MAX_SILENT_SECONDS = 900.0
"""How long a job may take for a few chunks; after that no further changes are accepted, as they
would wait forever."""
_STOP_SECONDS = 10.0
_PROGRESS_SECONDS = 1.0
"""Interval at which a job's progress is written to the store."""


@dataclass(eq=False)
class JobRunner:
    """The thread that changes documents."""

    reader: Reader
    """Reads the live index; it follows each change before the job is done."""
    database: str
    """The index folder or server."""
    splitter: Callable[[Recipe], SplitDocument]
    """Returns the function that splits documents by a recipe."""
    open_store: Callable[[], Store]
    """Connects to a server, with a timeout for long requests."""
    finished: JobListener = lambda job: None
    """Called with each finished job."""
    forget_answers: Callable[[str], int] = lambda name: 0
    """Drops cached answers that cite a document; returns how many are left."""

    def __post_init__(self) -> None:
        self._owner = FolderOwner(self.database)
        self._server: Store | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._last_warning = ""
        self._tries: Counter[str] = Counter()
        self._id = uuid.uuid4().hex
        self._last_progress: float | None = None
        """When the running job last made progress; None if none runs."""

    def start(self) -> None:
        """Start to run jobs, unfinished ones first."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; the running job is aborted, and repeated by the next runner."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_SECONDS)
        if not self._thread.is_alive():  # otherwise it may still write
            self._owner.release()

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    def claim(self) -> None:
        """Make this process the one that changes the index.

        Raises:
            IndexLockedError: another process serves this folder, or a job hangs in this one.
        """
        since = self._last_progress
        if since is not None and time.monotonic() - since > MAX_SILENT_SECONDS:
            minutes = round((time.monotonic() - since) / 60)
            reason = f"A change has made no progress for {minutes} minutes"
            advice = "The operator must restart this service, which then runs the change again."
            raise IndexLockedError(f"{reason}.", detail=f"{reason}. {advice}")
        self._owner.claim()

    def _run(self) -> None:
        yield_to_event_loop()
        while not self._stopping.is_set():
            try:
                if self.reader.state is not None:
                    self._run_jobs()
                self._last_warning = ""
            except DocsQAError as error:
                self._drop_connection()
                if str(error) != self._last_warning:
                    log.warning("Jobs wait: %s", error)
                    self._last_warning = str(error)
            except Exception as error:
                if repr(error) != self._last_warning:
                    log.exception("Unexpected error while looking for jobs")
                    self._last_warning = repr(error)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _run_jobs(self) -> None:
        store = self._store()
        if not Jobs(store).unfinished() and not has_unfinished_purge(store):
            return
        self._owner.claim()
        with BuildLock(store, purpose="change") as lock:
            finish_purge(store)
            changer = Changer(
                store,
                lock,
                tools=self._tools,
                on_progress=self._progress_writer(store),
                verify_deletion=lambda name: self._verify_deletion(store, name),
                rewrite_store=lambda lock: rewrite_store(
                    store, lock, self._matching_state, self._check_stopping
                ),
            )
            for job in Jobs(store).unfinished():
                if self._stopping.is_set():
                    return
                lock.verify_held()  # recovery would delete the rows of another writer
                recover(store)  # before each job: the previous one may have failed half-way
                self._last_progress = time.monotonic()
                try:
                    self._run_job(store, changer, job)
                finally:
                    self._last_progress = None
        Jobs(store).delete_old()

    def _run_job(self, store: Store, changer: Changer, job: Job) -> None:
        """Run a job to its end.

        Raises:
            DocsQAError: it cannot be run now, and stays unfinished.
        """
        # Record this process as a runner: a job that kills each of them must end some time.
        if self._id not in job.runners:
            job = replace(job, runners=(*job.runners, self._id))
            Jobs(store).update(job)
        if len(job.runners) > _MAX_RUNNERS:
            log.error(
                "Job %s is abandoned: %d services ended while running it", job.id, _MAX_RUNNERS
            )
            self._end(store, outcomes.fail(job, RuntimeError()))
            return
        try:
            job = changer.put(job) if job.kind == "put" else changer.delete(job)
        except DocsQAError as error:
            if self._is_retryable(error, job):
                raise
            log.warning("Job %s failed: %s", job.id, error)
            job = outcomes.fail(job, error)
        except Exception as error:
            log.exception("Unexpected error in job %s", job.id)
            job = outcomes.fail(job, error)
        self._end(store, job)

    def _is_retryable(self, error: DocsQAError, job: Job) -> bool:
        """True if the job may succeed when it is run again."""
        if isinstance(error, StoreProcessError | IndexDamagedError):
            return self._has_tries_left(job)
        if isinstance(error, StoreUnreachableError | IndexLockedError | IndexMissingError):
            return True
        is_api = isinstance(error, EmbeddingApiError)
        return is_api and not isinstance(error, EmbeddingRefusedError)

    def _has_tries_left(self, job: Job) -> bool:
        self._tries[job.id] += 1
        return self._tries[job.id] < _MAX_TRIES

    def _end(self, store: Store, job: Job) -> None:
        if job.problem:
            live = store.live()
            is_visible = live is not None and live.job == job.id
            if is_visible and self._has_tries_left(job):
                raise IndexLockedError(
                    "The change is visible; the next run of the job finishes it."
                )
            if is_visible:
                detail = f"The change took effect, but the steps after it failed. {job.detail}"
                job = replace(job, detail=detail)
            Jobs(store).update(job)
            if not is_visible:  # otherwise the next writer needs the entries for its clean-up
                entries = Uploads(store).of_job(job.id)
                Uploads(store).delete(entry for entry in entries if not entry.revision)
        self._tries.pop(job.id, None)
        self.reader.refresh()
        self.finished(job)

    def _progress_writer(self, store: Store) -> JobListener:
        last = time.monotonic()

        def write(job: Job) -> None:
            nonlocal last
            self._check_stopping()
            if time.monotonic() - last > _PROGRESS_SECONDS and not job.is_finished:
                last = time.monotonic()
                Jobs(store).update(job)

        return write

    def _check_stopping(self) -> None:
        self._last_progress = time.monotonic()
        if self._stopping.is_set():
            raise IndexLockedError("The service is stopping; the job is run after its restart.")

    def _tools(self, fingerprint: Fingerprint) -> IndexingTools:
        """The splitter and the model of the live index.

        Raises:
            IndexMismatchError: this version splits documents differently.
        """
        state = self._matching_state(fingerprint)
        if fingerprint.recipe.chunker_version != CHUNKER_VERSION:
            raise IndexMismatchError(
                "The index was built by a version that splits documents differently. Build it "
                f"again: {build_command(self.database)}"
            )
        return IndexingTools(self.splitter(fingerprint.recipe), state.corpus.embeddings)

    def _matching_state(self, fingerprint: Fingerprint) -> IndexState:
        state = self.reader.refresh()
        if state.fingerprint.recipe != fingerprint.recipe:
            raise IndexMismatchError("Another index went live in the meantime.")
        return state

    def _verify_deletion(self, store: Store, name: str) -> Mapping[str, Any]:
        found = verify_deletion(store, self.reader, name, self.forget_answers)
        return found | {"text_on_disk": vacuum_instructions(self.database)}

    def _store(self) -> Store:
        if not is_server(self.database):
            return self.reader.store()
        if self._server is None:
            self._server = self.open_store()
        return self._server

    def _drop_connection(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def splitter_for_recipe(settings: Settings, recipe: Recipe) -> SplitDocument:
    """The function that splits documents by a recipe, with the model that the settings name."""
    model = model_for(settings.embedding_model_name or recipe.embedding_model, settings)
    size = ChunkSize(recipe.chunk_size, recipe.chunk_overlap)
    return lambda document: split_document(document, size, model.count_tokens)
