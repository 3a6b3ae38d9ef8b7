"""Documents added through the API, as rows of a snapshot."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from database.index.live_pointer import LivePointer
from database.index.rows import Record, in_pages
from database.index.store import Store
from database.journal.uploads import UPLOADS, Uploads
from dataset.documents import check_name

DIMENSION = 2
"""Of the vectors that Chroma requires of every row."""
_BATCH = 16
"""Rows per request, each of up to 100,000 characters."""


def read_upload_rows(store: Store, live: LivePointer) -> Iterator[Record]:
    """The last visible change of each document, sorted by document name."""
    collection = store.find(UPLOADS)
    if collection is None:
        return
    entries = sorted(Uploads(store).current(live).items())
    for ids in in_pages((id_ for _, entry in entries for id_ in entry.row_ids), _BATCH):
        page: Any = collection.get(ids=ids, include=["documents", "metadatas", "embeddings"])
        columns = (page["ids"], page["documents"], page["metadatas"], page["embeddings"])
        for id_, text, metadata, vector in sorted(zip(*columns, strict=True), key=itemgetter(0)):
            fields = {name: value for name, value in metadata.items() if name != "revision"}
            yield Record(id_, text, np.asarray(vector, dtype=np.float32), fields)


def check_upload_row(record: Record) -> None:
    """Check that a row has the fields that the journal reads.

    Raises:
        ValueError, KeyError, DocumentError: it has not.
    """
    fields = record.metadata or {}
    check_name(fields["document"])
    texts = [fields[name] for name in ("job", "document", "content_hash")]
    texts += [fields.get(name, "") for name in ("title", "url", "format", "changed")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not texts")
    if not all(type(fields[name]) is int for name in ("part", "parts")):
        raise ValueError("not numbers")
