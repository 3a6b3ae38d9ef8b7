"""Finishes what a writer that died had begun: what was visible stays, of the rest nothing.

Whoever holds the lock calls it before it changes anything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from database.index import rows
from database.index.folder_owner import FolderOwner
from database.index.live_pointer import LivePointer
from database.index.store import Store
from database.journal import staging
from database.journal.jobs import Jobs
from database.journal.purge import finish_purge, has_unfinished_purge
from database.journal.uploads import JournalEntry, Uploads

if TYPE_CHECKING:
    from chromadb import Collection


def recover(store: Store) -> None:
    """Tidy up after a writer that died; the caller may write an embedded folder in place.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    staging.publish_staged_uploads(store)
    live, collection, _ = store.live_collection()
    uploads = Uploads(store)
    with store.translate_errors():
        rows.delete(collection, rows.unseen(collection, live.revision))
    uploads.delete(_orphans(uploads.pending(live), Jobs(store).active_ids()))
    if unmarked := _unmarked(uploads, live):
        clean_up(store, live, unmarked)


def recover_in_other_process(store: Store) -> None:
    """The same for a command: where a service serves an embedded folder, it alone may do it.

    Raises:
        IndexLockedError: there is something to do, and a service to do it.
    """
    finish_purge_in_other_process(store)
    staging.publish_staged_uploads(store)
    live = store.live()
    if live is not None and _unmarked(Uploads(store), live):
        with _owning(store):
            recover(store)


def finish_purge_in_other_process(store: Store) -> None:
    """Finish a purge that died, so that what came through the API can be read whole.

    Raises:
        IndexLockedError: there is something to do, and a service to do it.
    """
    if has_unfinished_purge(store):
        with _owning(store):
            finish_purge(store)


@contextmanager
def _owning(store: Store) -> Iterator[None]:
    owner = FolderOwner(store.database)
    owner.claim()
    try:
        yield
    finally:
        owner.release()


def clean_up(store: Store, live: LivePointer, entries: Sequence[JournalEntry]) -> None:
    """Delete the rows and texts that a job's entries have replaced, and mark them as tidied up.

    A build may have gone live since they became visible. Then what they replaced lies in the
    collection before, from which a rollback would bring it back.

    Args:
        store: Where the index lies.
        live: The pointer, which has made them visible.
        entries: The job's, not marked yet.
    """
    for name in store.index_names():
        collection = store.find(name)
        if collection is not None:
            with store.translate_errors():
                _tidy_rows(collection, live.job_revision, entries)
    found = store.live_collection()
    with store.translate_errors():
        found[1].modify(metadata=found[2].to_metadata())
    uploads = Uploads(store)
    uploads.delete(uploads.superseded(entries, live.job_revision))
    uploads.mark_visible(entries, live.job_revision)  # last: it says that all is tidy


def _tidy_rows(collection: "Collection", revision: int, entries: Sequence[JournalEntry]) -> None:
    current = {entry.document: entry.content_hash for entry in entries}
    held = rows.read_documents(collection, list(current))
    changed_here = {
        chunk.document
        for chunk in held
        if chunk.revision == revision and chunk.document_hash == current[chunk.document]
    }
    old = [
        chunk.id
        for chunk in held
        if not current[chunk.document]
        or (chunk.document in changed_here and chunk.document_hash != current[chunk.document])
    ]
    rows.delete(collection, old)


def _unmarked(uploads: Uploads, live: LivePointer) -> list[JournalEntry]:
    """The entries of the last job, where its writer died before all was tidy."""
    if live.job_revision <= live.folder_since:
        return []
    return [entry for entry in uploads.of_job(live.job) if not entry.revision]


def _orphans(waiting: Sequence[JournalEntry], jobs: set[str]) -> list[JournalEntry]:
    """Entries whose job was never accepted, or has ended without them."""
    return [entry for entry in waiting if entry.job not in jobs]
