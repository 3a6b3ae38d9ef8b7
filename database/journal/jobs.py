"""The jobs of the documents API, kept in the store so that no restart loses one.

The holder of the lock runs the unfinished jobs in the order of their creation. A job that another
process left unfinished is run again from its beginning, which is harmless.
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
"""Maximum time to write a job's documents to the journal."""
_MAX_CLOCK_SKEW_SECONDS = 60.0
"""Clock difference between replicas that is tolerated before a job counts as too old."""
MAX_FINISHED_JOBS = 1000
"""Finished jobs that can still be queried."""

JobKind = Literal["put", "delete", "purge"]
JobState = Literal["accepting", "queued", "running", "done", "failed"]
OutcomeKind = Literal["added", "replaced", "unchanged", "deleted", "refused"]


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    """A job's result for one document."""

    name: str
    outcome: OutcomeKind
    etag: str = ""
    """Its content hash after the job; "" if it has none."""
    previous: str = ""
    """Its content hash before the job."""
    chunks: int = 0
    embedded: int = 0
    """How many of its chunks were embedded by the job."""
    reason: str = ""
    """Why it was refused."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """If-Match and If-None-Match of a job: "" sets no condition, "*" matches any document."""

    match: str = ""
    none_match: str = ""

    def is_met_by(self, etag: str) -> bool:
        """True if a document with this content hash, "" for none, meets both."""
        meets_match = not self.match or _matches(self.match, etag)
        return meets_match and not _matches(self.none_match, etag)


def _matches(header: str, etag: str) -> bool:
    if header.strip() == "*":
        return bool(etag)
    given = {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}
    return bool(etag) and etag in given


@dataclass(frozen=True, slots=True)
class Job:
    """A change requested through the API."""

    id: str
    kind: JobKind
    created_at: str
    """UTC, ISO 8601."""
    state: JobState = "queued"
    finished_at: str = ""
    done: int = 0
    """Chunks written so far."""
    total: int = 0
    """Chunks to write, as far as known."""
    revision: int = 0
    """The index revision that makes the change visible."""
    runners: tuple[str, ...] = ()
    """The processes that have started it: a job that kills every runner is abandoned."""
    condition: Precondition = Precondition()
    outcomes: tuple[DocumentOutcome, ...] = ()
    checked: Mapping[str, Any] = field(default_factory=dict)
    """After a deletion: hits by place, see `deletion.verify_deletion`."""
    problem: str = ""
    """The type of problem that ended it, as in problem documents (RFC 9457)."""
    detail: str = ""
    """What happened, and what to do."""

    @property
    def is_finished(self) -> bool:
        """True if the job has ended."""
        return self.state in ("done", "failed")

    @classmethod
    def new(cls, kind: JobKind, **fields: Any) -> "Job":
        """A job created now."""
        return cls(id=uuid.uuid4().hex, kind=kind, created_at=utc_now(), **fields)


def utc_now() -> str:
    """The current time: UTC, ISO 8601."""
    return _moment(datetime.now(UTC))


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_older(job: Job, seconds: float) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(job.created_at)
    return age > timedelta(seconds=seconds)


def _row(job: Job) -> dict[str, Any]:
    vector = [1.0, time.time() % 1000]  # Chroma requires a vector of every row
    pending = "accepting" if job.state == "accepting" else "open"
    fields = {"state": "finished" if job.is_finished else pending, "body": json.dumps(asdict(job))}
    return {"ids": [job.id], "embeddings": [vector], "metadatas": [fields]}


class Jobs:
    """The jobs of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: Job) -> Job:
        """Store a job; it is not run while its state is "accepting".

        Returns:
            The job with a creation time after those of all unfinished jobs: another replica's clock
            may be ahead of ours, and the later change must win.
        """
        newest = max((other.created_at for other in self._not_ended()), default="")
        if job.created_at <= newest:
            after = datetime.fromisoformat(newest) + timedelta(milliseconds=1)
            job = replace(job, created_at=_moment(after))
        collection = self._store.get_or_create(JOBS)
        with self._store.translate_errors():
            collection.add(**_row(job))
        return job

    def _not_ended(self) -> list[Job]:
        from chromadb.errors import NotFoundError

        left: list[Job] = []
        # First: while a purge moves the jobs, some are only in the old collection.
        old = self._store.find(f"{JOBS}{OUTGOING}")
        if old is not None:
            with contextlib.suppress(NotFoundError):  # all have been moved
                left = self._read(old, "open", "accepting")
        return left + self._in_state("open", "accepting")

    def update(self, job: Job) -> None:
        """Store a job's new state."""
        collection = self._store.get_or_create(JOBS)
        with self._store.translate_errors():
            # Not `update`: while a purge moves the jobs, this one may be missing.
            collection.upsert(**_row(job))

    def find(self, id_: str) -> Job | None:
        """The job with this id; None if there is none."""
        collection = self._store.find_during_purge(JOBS)
        if collection is None:
            return None
        with self._store.translate_errors():
            found: Any = collection.get(ids=[id_], include=["metadatas"])
        return _job(found["metadatas"][0]) if found["ids"] else None

    def unfinished(self) -> list[Job]:
        """The jobs to run, in the order of their creation."""
        return self._in_state("open")

    def active_ids(self) -> set[str]:
        """Ids of the unfinished jobs, whose uploads must be kept.

        Excludes jobs whose acceptance has taken too long.
        """
        accepting = self._in_state("accepting")
        young = [job for job in accepting if not _is_older(job, ACCEPTING_SECONDS)]
        return {job.id for job in (*young, *self.unfinished())}

    def delete_old(self) -> None:
        """Delete the oldest finished jobs, and those whose acceptance never ended."""
        self._delete("finished", self._in_state("finished")[:-MAX_FINISHED_JOBS])
        max_age = ACCEPTING_SECONDS + _MAX_CLOCK_SKEW_SECONDS
        accepting = self._in_state("accepting")
        self._delete("accepting", [job for job in accepting if _is_older(job, max_age)])

    def delete_unaccepted(self, job: Job) -> None:
        """Delete a job whose acceptance failed."""
        self._delete("accepting", [job])

    def _delete(self, state: str, jobs: Sequence[Job]) -> None:
        collection = self._store.find(JOBS)
        if collection is not None and jobs:
            with self._store.translate_errors():
                # By state too: a job accepted in the meantime stays.
                collection.delete(ids=[job.id for job in jobs], where={"state": state})

    def _in_state(self, *states: str) -> list[Job]:
        collection = self._store.find_during_purge(JOBS)
        return self._read(collection, *states) if collection is not None else []

    def _read(self, collection: "Collection", *states: str) -> list[Job]:
        where: Any = {"state": {"$in": [*states]}}
        with self._store.translate_errors():
            found: Any = collection.get(where=where, include=["metadatas"])
        return sorted(map(_job, found["metadatas"]), key=lambda job: (job.created_at, job.id))


def _job(fields: Mapping[str, Any]) -> Job:
    body = json.loads(fields["body"])
    body["condition"] = Precondition(**body["condition"])
    body["runners"] = tuple(body.get("runners", ()))
    body["outcomes"] = tuple(DocumentOutcome(**outcome) for outcome in body["outcomes"])
    return Job(**body)
