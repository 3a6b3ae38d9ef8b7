"""Replaces the journal's documents by those of a pulled snapshot.

The snapshot's journal counts in revisions of its own store. Its visible documents are stored here
with the revision at which the pulled index goes live.

    stage beside `uploads` -> move the pointer -> delete the visible rows of `uploads`
    -> rename it to uploads-outgoing -> rename the staged one to uploads -> copy pending rows
    -> delete uploads-outgoing

All steps but the first two are `publish_staged_uploads`, which every writer calls under the lock
before it runs a job. From the third step on, `uploads` and then uploads-outgoing contain only
entries that still wait for their job. So everything in uploads-outgoing must be copied, as after a
purge: `finish_purge` does it, also for a pull that was killed.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from database.index import rows
from database.index.live_pointer import LivePointer
from database.index.rows import Record
from database.index.store import OUTGOING, Store
from database.journal.purge import QUIET_SECONDS, finish_purge, rename_into_place
from database.journal.uploads import UPLOADS

_STAGED = "uploads-of-"
_BATCH = 16
"""Rows per request, each of up to 100,000 characters."""


def stage_uploads(store: Store, index: str, records: Iterable[Record], revision: int) -> None:
    """Write the documents of an index that goes live at this revision beside the current ones."""
    store.delete(_STAGED + index)
    staged = store.create(_STAGED + index, {"made_for": UPLOADS})
    marked = (
        replace(record, metadata={**(record.metadata or {}), "revision": revision})
        for record in records
    )
    with store.translate_errors():
        for batch in rows.in_pages(marked, _BATCH):
            rows.add_records(staged, batch)


def has_staged_uploads(store: Store, index: str) -> bool:
    """True if documents were staged for an index and not published yet."""
    return store.find(_STAGED + index) is not None


def publish_staged_uploads(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Replace the journal's visible documents by those staged for the live index.

    Must be called before a job is run: if a pull was killed just before, the job would write to the
    journal that is replaced. Can be interrupted and repeated. Entries that wait for their job are
    kept, also those that services accept in the meantime.

    Args:
        store: The caller holds its lock.
        quiet_seconds: How long to wait for late rows.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    names = store.collection_names(_STAGED)
    live = store.live() if names else None
    if live is not None and _STAGED + live.name in names:
        finish_purge(store, quiet_seconds)
        # Repeated if a writing service created `uploads` between the two renames.
        while (staged := store.find(_STAGED + live.name)) is not None:
            _move_away(store, live)
            rename_into_place(store, UPLOADS, staged)
            finish_purge(store, quiet_seconds)
        names.remove(_STAGED + live.name)
    for name in names:  # of killed pulls; a repeated pull stages again
        store.delete(name)


def _move_away(store: Store, live: LivePointer) -> None:
    """Delete the visible rows of `uploads`, and rename it to the name that rows are copied from.

    No job has run since the pointer moved, so the pointer's last job is still the same.
    """
    collection = store.find(UPLOADS)
    if collection is None:
        return
    where: Any = {"$or": [{"revision": {"$gt": 0}}, {"job": live.job}]}
    with store.translate_errors():
        rows.delete(collection, collection.get(where=where, include=[])["ids"])
        collection.modify(name=UPLOADS + OUTGOING)
