"""Accepts a job: records it, so that it survives a restart, or ends it if it changes nothing."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from database.index.store import Store
from database.journal.jobs import DocumentOutcome, Job, Jobs, Precondition, utc_now
from database.journal.uploads import Uploads
from database.reading.reader import IndexState
from dataset.documents import Document
from utils.errors import StoreUnreachableError


def record_job(store: Store, job: Job, accept: Callable[[Store], None]) -> Job:
    """Record a job and its documents; if that fails, remove what was recorded."""
    jobs = Jobs(store)
    accepted = None
    try:
        job = jobs.add(replace(job, state="accepting"))
        accept(store)
        accepted = replace(job, state="queued")
        jobs.update(accepted)
    except Exception as error:
        # Without a response it is unknown whether the job was queued: it may be running already.
        if accepted is None or not isinstance(error, StoreUnreachableError):
            with contextlib.suppress(Exception):  # the job runner cleans up later
                _remove(store, job)
        raise
    return accepted


def _remove(store: Store, job: Job) -> None:
    found = Jobs(store).find(job.id)
    if found is None or found.state == "accepting":
        Uploads(store).delete(Uploads(store).of_job(job.id))
        Jobs(store).delete_unaccepted(job)


def finish_if_unchanged(
    store: Store, snapshot: IndexState | None, job: Job, documents: Sequence[Document]
) -> Job | None:
    """Record the job as done if all its documents were uploaded before, unchanged; else None.

    Chroma keeps everything that is written to it in its log: a nightly sync of all pages, most of
    them unchanged, would add all their texts.
    """
    live, jobs = store.live(), Jobs(store)
    if snapshot is None or snapshot.live != live or jobs.unfinished():
        return None
    outcomes = [_unchanged(snapshot, document, job.condition) for document in documents]
    unchanged = [outcome for outcome in outcomes if outcome]
    if len(unchanged) < len(outcomes):
        return None
    done = replace(
        job,
        state="done",
        outcomes=(*job.outcomes, *unchanged),
        revision=snapshot.live.revision,
        finished_at=utc_now(),
    )
    return jobs.add(done)


def _unchanged(
    snapshot: IndexState, document: Document, condition: Precondition
) -> DocumentOutcome | None:
    chunks = snapshot.document(document.name)
    etag = chunks[0].document_hash if chunks else ""
    is_same = etag == document.content_hash and document.name in snapshot.uploaded
    if not is_same or not condition.is_met_by(etag):
        return None
    return DocumentOutcome(document.name, "unchanged", etag=etag, previous=etag, chunks=len(chunks))
