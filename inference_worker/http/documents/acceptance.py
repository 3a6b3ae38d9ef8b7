"""Writes down what a change brings, so that it survives a restart; or sees that it is there."""

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
    """The job as it was accepted; where that fails, nothing of it stays."""
    jobs = Jobs(store)
    accepted = None
    try:
        job = jobs.add(replace(job, state="accepting"))
        accept(store)
        accepted = replace(job, state="queued")
        jobs.update(accepted)
    except Exception as error:
        # Whether the last word arrived is unknown where no answer came: it may be run already.
        if accepted is None or not isinstance(error, StoreUnreachableError):
            with contextlib.suppress(Exception):  # whoever runs jobs tidies up later
                _forget(store, job)
        raise
    return accepted


def _forget(store: Store, job: Job) -> None:
    found = Jobs(store).find(job.id)
    if found is None or found.state == "accepting":
        Uploads(store).delete(Uploads(store).of_job(job.id))
        Jobs(store).delete_unaccepted(job)


def finish_if_unchanged(
    store: Store, snapshot: IndexState | None, job: Job, documents: Sequence[Document]
) -> Job | None:
    """The job, ended, where all that it brings is there as the API put it; else None.

    Chroma keeps whatever is written to it in its log. A sync that sends all pages each night, most
    of them unchanged, would add all their texts.

    Args:
        store: Where the index lies.
        snapshot: What this service holds of it.
        job: Not written down yet.
        documents: What it brings.
    """
    live, jobs = store.live(), Jobs(store)
    if snapshot is None or snapshot.live != live or jobs.unfinished():
        return None
    outcomes = [_unchanged(snapshot, document, job.condition) for document in documents]
    told = [outcome for outcome in outcomes if outcome]
    if len(told) < len(outcomes):
        return None
    done = replace(
        job,
        state="done",
        outcomes=(*job.outcomes, *told),
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
