"""Changes asked for through the API: kept in the store, so that a restart loses none.

Whoever holds the lock runs what is not finished, in the order it came: a job that another process
left half done is done again from its beginning, which is harmless.
"""

import contextlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from database.index.store import OUTGOING, Store

if TYPE_CHECKING:
    from chromadb import Collection

JOBS = "jobs"
ACCEPTING_SECONDS = 600.0
"""How long it may take to write down what a job brings."""
_CLOCKS_DIFFER_SECONDS = 60.0
"""By how much another replica's clock may be wrong before a job of its is forgotten too early."""
MAX_FINISHED_JOBS = 1000
"""Finished jobs that can still be asked for."""

JobKind = Literal["put", "delete", "purge"]
JobState = Literal["accepting", "queued", "running", "done", "failed"]
OutcomeKind = Literal["added", "replaced", "unchanged", "deleted", "refused"]


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """What became of one document."""

    name: str
    outcome: OutcomeKind
    etag: str = ""
    """The content hash that it has now; "" where it has none."""
    previous: str = ""
    """The content hash that it had before."""
    chunks: int = 0
    embedded: int = 0
    """How many of its chunks were embedded for it."""
    reason: str = ""
    """Why it was refused."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """What a document must be for a job to touch it; "" asks nothing, "*" that there is one."""

    match: str = ""
    none_match: str = ""

    def is_met_by(self, etag: str) -> bool:
        """Whether a document with this content hash, "" for none, meets it."""
        return _matches(self.match, etag, default=True) and not _matches(
            self.none_match, etag, default=False
        )


def _matches(header: str, etag: str, *, default: bool) -> bool:
    if not header:
        return default
    if header.strip() == "*":
        return bool(etag)
    given = {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}
    return bool(etag) and etag in given


@dataclass(frozen=True, slots=True)
class Job:
    """One change, from the moment it was accepted."""

    id: str
    kind: JobKind
    created_at: str
    """UTC, ISO 8601."""
    state: JobState = "queued"
    finished_at: str = ""
    done: int = 0
    """Chunks written so far."""
    total: int = 0
    """Chunks to be written, as far as is known."""
    revision: int = 0
    """The index's revision that shows it."""
    runners: tuple[str, ...] = ()
    """Who tried to run it: one that kills whoever tries is given up."""
    condition: Precondition = Precondition()
    outcomes: tuple[DocumentOutcome, ...] = ()
    checked: Mapping[str, Any] = field(default_factory=dict)
    """What was looked for after a deletion, and how often it was found."""
    problem: str = ""
    """The kind of problem that ended it, as problem documents name it."""
    detail: str = ""
    """What to do about it."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed")

    @classmethod
    def new(cls, kind: JobKind, **fields: Any) -> "Job":
        """A job that was just accepted."""
        return cls(id=uuid.uuid4().hex, kind=kind, created_at=utc_now(), **fields)


def utc_now() -> str:
    """This moment: UTC, ISO 8601."""
    return _moment(datetime.now(UTC))


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_older(job: Job, seconds: float) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(job.created_at)
    return age > timedelta(seconds=seconds)


class Jobs:
    """The jobs of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: Job) -> Job:
        """Write down a job; one that is still being accepted is run by nobody.

        Returns:
            The job, with a moment after those of all that are to be done: the clock of the
            replica that accepted one of them may be ahead of ours, and the later change wins.
        """
        newest = max((other.created_at for other in self._not_ended()), default="")
        if job.created_at <= newest:
            after = datetime.fromisoformat(newest) + timedelta(milliseconds=1)
            job = replace(job, created_at=_moment(after))
        collection = self._store.get_or_create(JOBS)
        vector: Sequence[float] = [1.0, time.time() % 1000]  # Chroma wants one of every row
        with self._store.translate_errors():
            collection.add(ids=[job.id], embeddings=[vector], metadatas=[_fields(job)])
        return job

    def _not_ended(self) -> list[Job]:
        from chromadb.errors import NotFoundError

        left: list[Job] = []
        # First: while a purge moves the jobs, some are in the old collection alone.
        old = self._store.find(f"{JOBS}{OUTGOING}")
        if old is not None:
            with contextlib.suppress(NotFoundError):  # all are moved by now
                left = self._read(old, "open", "accepting")
        return left + self._in_state("open", "accepting")

    def update(self, job: Job) -> None:
        """Write down how a job stands."""
        collection = self._store.get_or_create(JOBS)
        vector: Sequence[float] = [1.0, time.time() % 1000]
        with self._store.translate_errors():
            # Not `update`: while a purge moves the jobs, this one may not be there yet.
            collection.upsert(ids=[job.id], embeddings=[vector], metadatas=[_fields(job)])

    def find(self, id_: str) -> Job | None:
        """The job with this id."""
        collection = self._store.find_during_purge(JOBS)
        if collection is None:
            return None
        with self._store.translate_errors():
            found: Any = collection.get(ids=[id_], include=["metadatas"])
        return _job(found["metadatas"][0]) if found["ids"] else None

    def unfinished(self) -> list[Job]:
        """What is still to be done, in the order it came."""
        return self._in_state("open")

    def active_ids(self) -> set[str]:
        """The jobs that have not ended: their uploads are awaited.

        Those whose acceptance takes longer than anybody waits are given up.
        """
        accepting = self._in_state("accepting")
        young = [job for job in accepting if not _is_older(job, ACCEPTING_SECONDS)]
        return {job.id for job in (*young, *self.unfinished())}

    def delete_old(self) -> None:
        """Delete the oldest of the finished jobs, and those whose acceptance never ended."""
        self._delete("finished", self._in_state("finished")[:-MAX_FINISHED_JOBS])
        given_up = ACCEPTING_SECONDS + _CLOCKS_DIFFER_SECONDS
        accepting = self._in_state("accepting")
        self._delete("accepting", [job for job in accepting if _is_older(job, given_up)])

    def delete_unaccepted(self, job: Job) -> None:
        """Delete a job whose acceptance failed."""
        self._delete("accepting", [job])

    def _delete(self, state: str, jobs: Sequence[Job]) -> None:
        collection = self._store.find(JOBS)
        if collection is not None and jobs:
            with self._store.translate_errors():
                # The state once more: one that is accepted by now stays.
                collection.delete(ids=[job.id for job in jobs], where={"state": state})

    def _in_state(self, *states: str) -> list[Job]:
        collection = self._store.find_during_purge(JOBS)
        return self._read(collection, *states) if collection is not None else []

    def _read(self, collection: "Collection", *states: str) -> list[Job]:
        where: Any = {"state": {"$in": [*states]}}
        with self._store.translate_errors():
            found: Any = collection.get(where=where, include=["metadatas"])
        return sorted(map(_job, found["metadatas"]), key=lambda job: (job.created_at, job.id))


def _fields(job: Job) -> dict[str, str]:
    state = "finished" if job.is_finished else "open"
    state = job.state if job.state == "accepting" else state
    return {"state": state, "body": json.dumps(asdict(job))}


def _job(fields: Mapping[str, Any]) -> Job:
    body = json.loads(fields["body"])
    body["condition"] = Precondition(**body["condition"])
    body["runners"] = tuple(body.get("runners", ()))
    body["outcomes"] = tuple(DocumentOutcome(**outcome) for outcome in body["outcomes"])
    return Job(**body)
