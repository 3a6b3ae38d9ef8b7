"""Puts the documents that a pulled snapshot brings in the place of those in the journal.

Their journal counts in revisions of its own store. What is visible there moves without them, and is
given the revision here with which the index that holds it goes live.

    stage beside `uploads` -> move the pointer -> delete what is visible in `uploads`
    -> rename it to uploads-outgoing -> rename what was staged to uploads -> copy what waits
    -> delete uploads-outgoing

All steps but the first two are `publish_staged_uploads`, which every writer calls under the lock
before it runs a job. From the third step on, `uploads` and then uploads-outgoing contain only
entries that still wait for their job. So everything in uploads-outgoing must be copied, as after a
purge: `finish_purge` does it, also for a pull that died half-way.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from database.index.hnsw import NEVER_SYNC
from database.index.live_pointer import LivePointer
from database.index.rows import Record
from database.index.store import OUTGOING, Store
from database.journal.purge import QUIET_SECONDS, finish_purge, rename_into_place
from database.journal.uploads import UPLOADS

if TYPE_CHECKING:
    from chromadb import Collection

_STAGED = "uploads-of-"
_BATCH = 16
"""Rows in one request, each of up to 100,000 characters."""
_PAGE = 1000
"""Ids in one request."""


def stage_uploads(store: Store, index: str, records: Iterable[Record], revision: int) -> None:
    """Write the documents that belong to an index beside those of now.

    Args:
        store: Where the index lies.
        index: The index, which is not live yet.
        records: Rows as `read` gives them.
        revision: The revision with which it goes live.
    """
    store.delete(_STAGED + index)
    staged = store.create(_STAGED + index, {"made_for": UPLOADS}, NEVER_SYNC)
    with store.translate_errors():
        _add(staged, records, revision)


def _add(collection: "Collection", records: Iterable[Record], revision: int) -> None:
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            _add_batch(collection, batch, revision)
            batch.clear()
    if batch:
        _add_batch(collection, batch, revision)


def _add_batch(collection: "Collection", batch: list[Record], revision: int) -> None:
    vectors: Any = [record.vector for record in batch]
    collection.add(
        ids=[record.id for record in batch],
        embeddings=vectors,
        documents=[record.text for record in batch],
        metadatas=[{**(record.metadata or {}), "revision": revision} for record in batch],
    )


def has_staged_uploads(store: Store, index: str) -> bool:
    """Whether documents were staged for an index and are not in their place yet."""
    return store.find(_STAGED + index) is not None


def publish_staged_uploads(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Put what was staged for the live index in the place of what was here before.

    To be called before a job is run: a pull may have died just before, and what jobs wrote to the
    old place would be lost. Interrupted and called again, it ends the same. What waits for its job
    stays, also what services accept meanwhile.

    Args:
        store: The caller holds its lock.
        quiet_seconds: How long to look for rows that come late.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    names = store.collection_names(_STAGED)
    live = store.live() if names else None
    if live is not None and _STAGED + live.name in names:
        finish_purge(store, quiet_seconds)
        # Once more where a service that wanted to write took the name in between.
        while (staged := store.find(_STAGED + live.name)) is not None:
            _make_way(store, live)
            rename_into_place(store, UPLOADS, staged)
            finish_purge(store, quiet_seconds)
        names.remove(_STAGED + live.name)
    for name in names:  # of pulls that died; one that goes on stages anew
        store.delete(name)


def _make_way(store: Store, live: LivePointer) -> None:
    """Leave nothing here but what waits, under the name that it is copied from.

    No job was run since the pointer moved, so the last one is still the same.
    """
    collection = store.find(UPLOADS)
    if collection is None:
        return
    where: Any = {"$or": [{"revision": {"$gt": 0}}, {"job": live.job}]}
    with store.translate_errors():
        visible = collection.get(where=where, include=[])["ids"]
        for start in range(0, len(visible), _PAGE):
            collection.delete(ids=visible[start : start + _PAGE])
        collection.modify(name=UPLOADS + OUTGOING)
