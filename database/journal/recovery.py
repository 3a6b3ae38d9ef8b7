"""Recovers from a killed writer: its visible changes are completed, the others are undone.

Every holder of the lock calls it before it changes anything.
"""

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from database.index import rows
from database.index.digests import Digests
from database.index.fingerprint import Fingerprint
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
    """Recover from a killed writer; the caller may write an embedded folder in place.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    staging.publish_staged_uploads(store)
    live, collection, _ = store.live_collection()
    uploads = Uploads(store)
    with store.translate_errors():
        rows.delete(collection, rows.unseen(collection, live.revision))
    # Jobs are stored before their uploads, so the uploads must be read before the jobs.
    pending, active = uploads.pending(live), Jobs(store).active_ids()
    uploads.delete(entry for entry in pending if entry.job not in active)
    if unmarked := _unmarked(uploads, live):
        clean_up(store, live, unmarked)


def recover_in_other_process(store: Store) -> None:
    """Like `recover`, for commands; only the service of an embedded folder may write it in place.

    Raises:
        IndexLockedError: there is something to recover, and a service runs.
    """
    finish_purge_in_other_process(store)
    staging.publish_staged_uploads(store)
    live = store.live()
    if live is not None and _unmarked(Uploads(store), live):
        with FolderOwner(store.database):
            recover(store)


def finish_purge_in_other_process(store: Store) -> None:
    """Like `finish_purge`, for commands, so that the journal is complete.

    Raises:
        IndexLockedError: there is something to finish, and a service runs.
    """
    if has_unfinished_purge(store):
        with FolderOwner(store.database):
            finish_purge(store)


def clean_up(store: Store, live: LivePointer, entries: Sequence[JournalEntry]) -> None:
    """Delete the rows and texts that a job's entries have replaced, and mark the entries.

    All index collections are cleaned up: if a build has gone live since, the replaced rows are in
    the previous collection, and a rollback would restore them.
    """
    for name in store.index_names():
        collection = store.find(name)
        if collection is not None:
            with store.translate_errors():
                _delete_replaced_rows(collection, live, entries)
    found = store.live_collection()
    with store.translate_errors():
        found[1].modify(metadata=found[2].to_metadata())
    uploads = Uploads(store)
    uploads.delete(uploads.superseded(entries, live.job_revision))
    uploads.mark_visible(entries, live.job_revision)  # last: a marked entry needs no clean-up


def _delete_replaced_rows(
    collection: "Collection", live: LivePointer, entries: Sequence[JournalEntry]
) -> None:
    current = {entry.document: entry.content_hash for entry in entries}
    stored = rows.read_metadata(collection, list(current))
    changed_here = {
        fields["document"]
        for fields in stored.values()
        if fields.get("revision", 0) == live.job_revision
        and fields["document_hash"] == current[fields["document"]]
    }
    replaced = [
        id_
        for id_, fields in stored.items()
        if not current[fields["document"]]
        or (
            fields["document"] in changed_here
            and fields["document_hash"] != current[fields["document"]]
        )
    ]
    if replaced and collection.name != live.name:
        _account_for(collection, live, set(replaced), list(current))
    rows.delete(collection, replaced)


def _account_for(
    collection: "Collection", live: LivePointer, deleted: Set[str], documents: list[str]
) -> None:
    """Subtract rows of the previous index from its digests, before they are deleted."""
    fingerprint = Fingerprint.from_metadata(collection.metadata or {})
    if fingerprint is not None:
        removed = Digests()
        for row in rows.intact(rows.read_raw_rows(collection, documents)):
            if row.chunk.id in deleted and row.chunk.revision <= live.previous_revision:
                removed.add_rows([row])
        after = fingerprint.without_rows(removed, live.job_revision)
        collection.modify(metadata=after.to_metadata())


def _unmarked(uploads: Uploads, live: LivePointer) -> list[JournalEntry]:
    """The entries of the last job, if its writer was killed before the clean-up."""
    if live.job_revision <= live.folder_since:
        return []
    return [entry for entry in uploads.of_job(live.job) if not entry.revision]
