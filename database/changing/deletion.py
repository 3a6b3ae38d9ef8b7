"""Makes sure that a deleted document is gone: looks for it everywhere, and moves all else."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from database.building.build import Builder
from database.index import rows
from database.index.fingerprint import Fingerprint
from database.index.lock import BuildLock
from database.index.store import Store
from database.index.vector_files import remove_orphaned_folders, zero_unused_rows
from database.journal import staging
from database.journal.purge import rewrite_journal
from database.journal.uploads import Uploads
from database.reading.reader import IndexState, Reader

_LOOKED_AT = 100
"""Passages of each search for a deleted document."""


def rewrite_store(
    store: Store,
    lock: BuildLock,
    fitting: Callable[[Fingerprint], IndexState],
    go_on: Callable[[], None],
) -> None:
    """Move all that the store holds to new collections, and delete the old ones.

    Args:
        store: The caller is the process that writes it, if it is a folder.
        lock: Held by the caller.
        fitting: A reader that holds an index of this fingerprint; or raises IndexMismatchError.
        go_on: Called now and then; raises to break off.

    Raises:
        IndexUnavailableError: the store cannot be read or written; it can be begun again.
        IndexLockedError: somebody took this process for dead.
    """
    live, _, fingerprint = store.live_collection()
    if live.since <= live.job_revision or live.previous:  # else it was done before
        snapshot = fitting(fingerprint)
        Builder(
            store=store,
            recipe=fingerprint.recipe,
            count_tokens=len,  # nothing is split
            progress=lambda done, total: go_on(),
            load_embeddings=lambda: snapshot.corpus.embeddings,
        ).rewrite(lock)
    lock.verify_held()
    staging.publish_staged_uploads(store)  # pulls that were given up have staged texts too
    rewrite_journal(store)
    remove_orphaned_folders(store.database)
    zero_unused_rows(store.database)


def verify_deletion(
    store: Store, reader: Reader, name: str, forget_answers: Callable[[str], int]
) -> dict[str, Any]:
    """Look for a deleted document wherever it was.

    Args:
        store: Where all lies.
        reader: What searches ask.
        name: The document's name.
        forget_answers: Drops kept answers that name a document; gives how many are left.

    Returns:
        How often it was found where, which is 0 throughout; the collections that were looked
        through; and `accepted_since`: versions sent after the deletion, which are no part of it.

    Raises:
        RuntimeError: it is still found.
    """
    collections = store.index_names()
    chunks = 0
    with store.translate_errors():
        for collection in map(store.find, collections):
            if collection is not None:
                chunks += len(rows.read_documents(collection, [name]))
    texts = [entry for entry in Uploads(store).of_document(name) if not entry.is_deletion]
    snapshot = reader.refresh()
    words = " ".join(PurePosixPath(name).with_suffix("").parts).replace("-", " ")
    passages = [
        passage for asked in (name, words) for passage in reader.search(asked, _LOOKED_AT).passages
    ]
    found = {
        "chunks": chunks,
        "uploaded_texts": sum(bool(entry.revision) for entry in texts),
        "postings": int(name in snapshot.corpus.lexical.documents),
        "cached_answers": forget_answers(name),
        "found_by_search": sum(passage.chunk.document == name for passage in passages),
    }
    if any(found.values()):
        raise RuntimeError(f"A deleted document is still there: {found}")
    accepted_since = sum(not entry.revision for entry in texts)
    return found | {"accepted_since": accepted_since, "collections": collections}
