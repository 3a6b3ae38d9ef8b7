"""Purges deleted documents from all collections, and verifies that no reader can find them."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from database.building.build import Builder
from database.index import rows
from database.index.fingerprint import Fingerprint
from database.index.lock import BuildLock
from database.index.store import Store
from database.index.vector_files import remove_orphaned_folders, zero_unused_rows
from database.journal.purge import rewrite_journal
from database.journal.staging import publish_staged_uploads
from database.journal.uploads import Uploads
from database.reading.reader import IndexState, Reader

_PASSAGES = 100
"""Passages of each search for a deleted document."""


def rewrite_store(
    store: Store,
    lock: BuildLock,
    matching_state: Callable[[Fingerprint], IndexState],
    check_stopping: Callable[[], None],
) -> None:
    """Copy all rows of the store to new collections, and delete the old ones.

    Args:
        store: The store; the caller is the process that serves an embedded folder.
        lock: Held by the caller.
        matching_state: Returns the state of an index with this fingerprint, or raises
            IndexMismatchError.
        check_stopping: Called after each page; raises to abort.

    Raises:
        IndexUnavailableError: the store cannot be read or written; the call can be repeated.
        IndexLockedError: another writer took over the lock after our heartbeat lapsed.
    """
    live, _, fingerprint = store.live_collection()
    # Rewrite the index, unless an interrupted purge has done so.
    if live.since <= live.job_revision or live.previous:
        state = matching_state(fingerprint)
        Builder(
            store=store,
            recipe=fingerprint.recipe,
            count_tokens=len,  # nothing is split
            progress=lambda done, total: check_stopping(),
            load_embeddings=lambda: state.corpus.embeddings,
        ).rewrite(lock)
    lock.verify_held()
    # Rewrite the journal; staged uploads of abandoned pulls are deleted.
    publish_staged_uploads(store)
    rewrite_journal(store)
    # Remove what Chroma leaves on disk.
    remove_orphaned_folders(store.database)
    zero_unused_rows(store.database)


def verify_deletion(
    store: Store, reader: Reader, name: str, forget_answers: Callable[[str], int]
) -> dict[str, Any]:
    """Search for a deleted document everywhere it was stored.

    Returns:
        The number of hits by place, all of them 0; the collections that were searched; and
        `accepted_since`, the versions uploaded after the deletion.

    Raises:
        RuntimeError: the document is still found.
    """
    collections = store.index_names()
    chunks = 0
    with store.translate_errors():
        for collection in map(store.find, collections):
            if collection is not None:
                chunks += len(rows.read_documents(collection, [name]))
    texts = [entry for entry in Uploads(store).of_document(name) if not entry.is_deletion]
    state = reader.refresh()
    words = " ".join(PurePosixPath(name).with_suffix("").parts).replace("-", " ")
    passages = [
        passage for query in (name, words) for passage in reader.search(query, _PASSAGES).passages
    ]
    found = {
        "chunks": chunks,
        "uploaded_texts": sum(bool(entry.revision) for entry in texts),
        "postings": int(name in state.corpus.lexical.documents),
        "cached_answers": forget_answers(name),
        "found_by_search": sum(passage.chunk.document == name for passage in passages),
    }
    if any(found.values()):
        raise RuntimeError(f"A deleted document is still found: {found}")
    accepted_since = sum(not entry.revision for entry in texts)
    return found | {"accepted_since": accepted_since, "collections": collections}
