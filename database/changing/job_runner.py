"""Runs the jobs of the documents API, one after the other, in a thread of the service.

Any replica may run any job: who gets the lock runs all that wait. What fails because the store is
away or a build is writing waits for better times; what cannot succeed ends as failed.
"""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from database.building.builder_factory import splitter_for
from database.changing.changer import Changer, IndexingTools, SplitDocument
from database.changing.deletion import rewrite_store, verify_deletion
from database.embedding.loading import model_for
from database.index.fingerprint import Fingerprint, Recipe
from database.index.folder_owner import FolderOwner
from database.index.lock import BuildLock
from database.index.store import Store
from database.journal.jobs import Job, Jobs, utc_now
from database.journal.purge import finish_purge, has_unfinished_purge, text_on_disk
from database.journal.recovery import recover
from database.journal.uploads import Uploads
from database.reading.reader import IndexState, Reader
from dataset.splitting import CHUNKER_VERSION
from utils.errors import (
    DatasetError,
    DocsQAError,
    EmbeddingApiError,
    EmbeddingRefusedError,
    IndexDamagedError,
    IndexLockedError,
    IndexMismatchError,
    IndexMissingError,
    ModelError,
    StoreUnreachableError,
)
from utils.settings import Settings, is_server

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""Between two looks for jobs that another replica accepted and did not finish."""
_MAX_RUNNERS = 10
"""How many processes may begin a job and not end it, before it is taken for what ends them."""
_MAX_TRIES = 3
"""How often a job is tried that the store breaks off: rows that go while Chroma looks them up, or a
lock of its SQLite, have it fail once; a full disk always."""
_TOOK_EFFECT = "The change took effect, but what follows it failed."
_STOP_SECONDS = 10.0
_TELL_SECONDS = 1.0
"""Between two notes in the store on how far a job is."""


class JobRunner:
    """The thread that changes documents.

    Args:
        reader: Holds the live index; it follows each change before the job is done.
        database: Where the index lies.
        splitter: Makes what splits documents as an index was split.
        open_store: Connects with time for long requests; for a server alone.
        finished: Told of each job that ended.
        forget_answers: Drops kept answers that name a document; gives how many are left.
    """

    def __init__(
        self,
        reader: Reader,
        database: str,
        *,
        splitter: Callable[[Recipe], SplitDocument],
        open_store: Callable[[], Store],
        finished: Callable[[Job], None] = lambda job: None,
        forget_answers: Callable[[str], int] = lambda name: 0,
    ) -> None:
        self._reader = reader
        self._database = database
        self._splitter = splitter
        self._open_store = open_store
        self._finished = finished
        self._forget_answers = forget_answers
        self._owner = FolderOwner(database)
        self._server: Store | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._said = ""
        self._broken_off: Counter[str] = Counter()
        self._id = uuid.uuid4().hex

    def start(self) -> None:
        """Begin to run jobs, those first that were left over."""
        self._thread.start()

    def stop(self) -> None:
        """Run no more; the job under way is given up and done again by the next who can."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_SECONDS)
        if not self._thread.is_alive():  # else it may still write
            self._owner.release()

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    def claim(self) -> None:
        """Make sure that this process may change the index.

        Raises:
            IndexLockedError: another process serves this folder.
        """
        self._owner.claim()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._reader.state is not None:
                    self._work()
                self._said = ""
            except DocsQAError as error:
                self._drop_connection()
                if str(error) != self._said:
                    log.warning("Jobs wait: %s", error)
                    self._said = str(error)
            except Exception:
                log.exception("Unforeseen while looking for jobs")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _work(self) -> None:
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
                    store, lock, self._matching_snapshot, self._check_stopping
                ),
            )
            for job in Jobs(store).unfinished():
                if self._stopping.is_set():
                    return
                lock.verify_held()  # whoever took it writes what recovering would delete
                recover(store)  # each time: the one before may have failed half-way
                self._finish(store, changer, job)
        Jobs(store).delete_old()

    def _finish(self, store: Store, changer: Changer, job: Job) -> None:
        """Run a job to its end.

        Raises:
            DocsQAError: it cannot be run now; it stays.
        """
        if self._id not in job.runners:
            job = replace(job, runners=(*job.runners, self._id))
            Jobs(store).update(job)
        if len(job.runners) > _MAX_RUNNERS:
            log.error("Job %s is given up: %d services ended over it", job.id, _MAX_RUNNERS)
            self._end(store, _failed(job, RuntimeError()))
            return
        try:
            job = changer.put(job) if job.kind == "put" else changer.delete(job)
        except (StoreUnreachableError, IndexLockedError, IndexMissingError):
            raise
        except DocsQAError as error:
            if self._may_pass(error, job):
                raise
            log.warning("Job %s failed: %s", job.id, error)
            job = _failed(job, error)
        except Exception as error:
            log.exception("Unforeseen, job %s", job.id)
            job = _failed(job, error)
        self._end(store, job)

    def _may_pass(self, error: DocsQAError, job: Job) -> bool:
        """Whether what broke a job off may be otherwise when it is run again."""
        if isinstance(error, EmbeddingApiError):
            return not isinstance(error, EmbeddingRefusedError)
        return isinstance(error, IndexDamagedError) and self._may_try_again(job)

    def _may_try_again(self, job: Job) -> bool:
        self._broken_off[job.id] += 1
        return self._broken_off[job.id] < _MAX_TRIES

    def _end(self, store: Store, job: Job) -> None:
        if job.problem:
            live = store.live()
            is_visible = live is not None and live.job == job.id
            if is_visible and self._may_try_again(job):
                raise IndexLockedError("What a job made visible is finished when it is run again.")
            if is_visible:
                job = replace(job, detail=f"{_TOOK_EFFECT} {job.detail}")
            Jobs(store).update(job)
            if not is_visible:  # else the next writer tidies up by them
                entries = Uploads(store).of_job(job.id)
                Uploads(store).delete(entry for entry in entries if not entry.revision)
        self._broken_off.pop(job.id, None)
        self._reader.refresh()
        self._finished(job)

    def _progress_writer(self, store: Store) -> Callable[[Job], None]:
        told = time.monotonic()

        def tell(job: Job) -> None:
            nonlocal told
            self._check_stopping()
            if time.monotonic() - told > _TELL_SECONDS and not job.is_finished:
                told = time.monotonic()
                Jobs(store).update(job)

        return tell

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise IndexLockedError("The service stops; the job is run when it is back.")

    def _tools(self, fingerprint: Fingerprint) -> IndexingTools:
        """What makes chunks and vectors as the live index has them.

        Raises:
            IndexMismatchError: this version makes others.
        """
        snapshot = self._matching_snapshot(fingerprint)
        if fingerprint.recipe.chunker_version != CHUNKER_VERSION:
            raise IndexMismatchError(
                "The index was built by a version that splits documents in another way. Build it "
                "again with utils/db_builder.py."
            )
        return IndexingTools(self._splitter(fingerprint.recipe), snapshot.corpus.embeddings)

    def _matching_snapshot(self, fingerprint: Fingerprint) -> IndexState:
        snapshot = self._reader.refresh()
        if snapshot.fingerprint.recipe != fingerprint.recipe:
            raise IndexMismatchError("The index moved meanwhile.")
        return snapshot

    def _verify_deletion(self, store: Store, name: str) -> Mapping[str, Any]:
        found = verify_deletion(store, self._reader, name, self._forget_answers)
        return found | {"text_on_disk": text_on_disk(self._database)}

    def _store(self) -> Store:
        if not is_server(self._database):
            return self._reader.store()
        if self._server is None:
            self._server = self._open_store()
        return self._server

    def _drop_connection(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def splitter_for_recipe(settings: Settings, recipe: Recipe) -> SplitDocument:
    """What splits documents as an index was split, by the model that the settings lead to."""
    model = model_for(settings.embedding_model_name or recipe.embedding_model, settings)
    return splitter_for(model, recipe)


def _failed(job: Job, error: Exception) -> Job:
    """A job that cannot succeed, in words for whoever asked for it."""
    problem, detail = "internal-error", "Something unforeseen failed; the service's log has it."
    if isinstance(error, EmbeddingRefusedError):
        problem = "document-refused"
        detail = "The embedding model's API refuses its text; the service's log says why."
    elif isinstance(error, DatasetError):
        problem, detail = "document-refused", str(error)
    elif isinstance(error, IndexMismatchError | ModelError):
        problem = "model-mismatch"
        detail = "The operator must build the index again with utils/db_builder.py."
    return replace(job, state="failed", problem=problem, detail=detail, finished_at=utc_now())
