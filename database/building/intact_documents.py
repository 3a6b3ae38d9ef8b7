"""Reads which documents a collection contains completely and undamaged."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from database.index import rows
from database.index.digests import Digests, batch_of
from database.index.fingerprint import Fingerprint
from database.index.rows import StoredDocuments
from database.index.store import Store

if TYPE_CHECKING:
    from chromadb import Collection


@dataclass(frozen=True, slots=True)
class IntactDocuments:
    """What can be copied from a collection."""

    documents: StoredDocuments
    """Documents all of whose chunks it contains, in batches of rows that are as written."""
    is_damaged: bool
    """True if rows are no chunks, or differ from the digests; an older version wrote none."""


def read_intact_documents(
    store: Store, collection: "Collection", fingerprint: Fingerprint, revision: int
) -> IntactDocuments:
    """Read a collection, of whose rows those after a revision have never been visible.

    Memory grows with the number of documents, not of chunks.

    Raises:
        IndexDamagedError: its rows cannot be read.
        StoreUnreachableError: the server does not answer.
    """
    expected: dict[str, tuple[str, int]] = {}
    counted: Counter[tuple[str, str]] = Counter()
    digests = Digests()
    unreadable = 0
    with store.translate_errors():
        for page in rows.raw_pages(collection):
            read = [*rows.intact(page)]
            unreadable += len(page) - len(read)
            visible = [row for row in read if row.chunk.revision <= revision]
            digests.add_rows(visible)
            for chunk in (row.chunk for row in visible):
                counted[chunk.document, chunk.document_hash] += 1
                if chunk.ordinal == 0:
                    expected[chunk.document] = (chunk.document_hash, chunk.siblings)
    written = Digests.parse(fingerprint.digests) if fingerprint.digests else digests
    damaged = digests.damaged_batches(written)
    documents = {
        name: (content_hash, siblings)
        for name, (content_hash, siblings) in expected.items()
        if counted[name, content_hash] == siblings and batch_of(name) not in damaged
    }
    return IntactDocuments(documents, is_damaged=bool(damaged or unreadable))
