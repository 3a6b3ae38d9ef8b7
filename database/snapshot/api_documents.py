"""Documents that came through the API, on their way from one store to another.

Their journal counts in revisions of its own store. What is visible there moves without them, and is
given the revision here with which the index that holds it goes live.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from database.snapshot.parts import Record
from database.store import NEVER_SYNC, Live, Store
from database.uploads import UPLOADS, Uploads
from dataset.documents import check_name

if TYPE_CHECKING:
    from chromadb import Collection

DIMENSION = 2
"""Of the vectors that Chroma wants of every row."""
_STAGED = "uploads-of-"
_BATCH = 16
"""Rows in one request, each of up to 100,000 characters."""


def read(store: Store, live: Live) -> Iterator[Record]:
    """The last visible change of each document, in the order of their names."""
    collection = store.find(UPLOADS)
    if collection is None:
        return
    entries = sorted(Uploads(store).held(live).items())
    ids = [f"{entry.id}/{at}" for _, entry in entries for at in range(entry.parts)]
    for start in range(0, len(ids), _BATCH):
        yield from _rows(collection, {"ids": ids[start : start + _BATCH]})


def _rows(collection: "Collection", what: Mapping[str, Any]) -> Iterator[Record]:
    page: Any = collection.get(**what, include=["documents", "metadatas", "embeddings"])
    found = zip(page["ids"], page["documents"], page["metadatas"], page["embeddings"], strict=True)
    for id_, text, metadata, vector in sorted(found, key=lambda row: row[0]):
        fields = {name: value for name, value in metadata.items() if name != "revision"}
        yield Record(id_, text, np.asarray(vector, dtype=np.float32), fields)


def check(record: Record) -> None:
    """Hold a row against what the journal reads of it.

    Raises:
        ValueError, KeyError, DocumentError: it cannot be one.
    """
    fields = record.metadata or {}
    check_name(fields["document"])
    texts = [fields[name] for name in ("job", "document", "content_hash")]
    texts += [fields.get(name, "") for name in ("title", "url", "format", "changed")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not texts")
    if not all(type(fields[name]) is int for name in ("part", "parts")):
        raise ValueError("not numbers")


def stage(store: Store, index: str, records: Iterable[Record], revision: int) -> None:
    """Write the documents that belong to an index beside those of now.

    Args:
        store: Where the index lies.
        index: The index, which is not live yet.
        records: Rows as `read` gives them.
        revision: The revision with which it goes live.
    """
    store.delete(_STAGED + index)
    here, live = store.find(UPLOADS), store.live()
    staged = store.create(_STAGED + index, {"made_for": UPLOADS}, NEVER_SYNC)
    with store.translated():
        _add(staged, records, revision)
        if here is not None and live is not None:
            _add(staged, _waiting(here, live), 0)


def _waiting(collection: "Collection", live: Live) -> Iterator[Record]:
    """What was put here and is still to be made visible: its job goes on afterwards."""
    where: Any = {"$and": [{"revision": 0}, {"job": {"$ne": live.job}}]}
    found: Any = collection.get(where=where, include=[])
    ids = sorted(found["ids"])
    for start in range(0, len(ids), _BATCH):
        yield from _rows(collection, {"ids": ids[start : start + _BATCH]})


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


def are_staged(store: Store, index: str) -> bool:
    """Whether documents were staged for an index and are not in their place yet."""
    return store.find(_STAGED + index) is not None


def swap(store: Store, index: str) -> None:
    """Put what was staged for an index, which is live by now, in the place of what was here.

    The caller holds the lock. Interrupted and called again, it ends the same.
    """
    staged = store.find(_STAGED + index)
    if staged is not None:
        store.delete(UPLOADS)
        with store.translated():
            staged.modify(name=UPLOADS)
    for name in store.names(_STAGED):  # of pulls that were given up
        store.delete(name)
