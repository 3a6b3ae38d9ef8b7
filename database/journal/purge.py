"""Rewrites the journal, so that a vacuum of Chroma removes deleted documents from its files.

Chroma first writes every row to a log, and truncates the log only up to the rows that it has
written to the collection's own files. Collections that are written in place never get there, so
their logs keep every row that they ever contained, until the collection is deleted. A purge thus
moves the journal's collections X to new ones:

    copy to X-incoming -> rename X to X-outgoing -> rename X-incoming to X -> copy late rows
    -> delete X-outgoing

Readers without the lock find all of X at any time except between the two renames. Services accept
changes without the lock too: late rows are those written through a handle on the old collection.
"""

import time
from typing import TYPE_CHECKING, Any

from database.index import rows
from database.index.store import OUTGOING, Store
from database.journal.jobs import JOBS
from database.journal.uploads import UPLOADS
from utils.errors import IndexDamagedError

if TYPE_CHECKING:
    from chromadb import Collection

INCOMING = "-incoming"
QUIET_SECONDS = 0.5
"""An outgoing collection is deleted after this long without a new row: much longer than a service
keeps a handle between two rows."""
_REWRITTEN = (UPLOADS, JOBS)  # jobs contain document names
_TEMPORARY = {name + end for name in _REWRITTEN for end in (INCOMING, OUTGOING)}
_PAGE = 16
"""Rows per request: 16 of the longest texts are below Chroma's limit of 40 MiB."""


def rewrite_journal(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Move the journal and the jobs to new collections, and delete the old ones.

    Args:
        store: The caller holds its lock, and may write an embedded folder in place.
        quiet_seconds: How long to wait for late rows.

    Raises:
        IndexUnavailableError: the store cannot be read or written; `finish_purge` resumes.
    """
    finish_purge(store, quiet_seconds)
    for name in _REWRITTEN:
        old = store.find(name)
        if old is not None:
            new = store.create(name + INCOMING, {"made_for": name})
            _copy_missing(store, old, new)
            with store.translate_errors():
                old.modify(name=name + OUTGOING)
            rename_into_place(store, name, new)
    finish_purge(store, quiet_seconds)


def has_unfinished_purge(store: Store) -> bool:
    """True if a killed purge left something to do."""
    return not _TEMPORARY.isdisjoint(store.collection_names(""))


def finish_purge(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Finish a purge that was killed.

    Must be called under the lock before jobs or uploads are read: both may be incomplete before.

    Args:
        store: The caller holds its lock, and may write an embedded folder in place.
        quiet_seconds: How long to wait for late rows.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    temporary = _TEMPORARY.intersection(store.collection_names(""))
    outgoing = [name for name in _REWRITTEN if name + OUTGOING in temporary]
    for name in outgoing:
        new = store.find(name + INCOMING)
        if new is not None:
            rename_into_place(store, name, new)
    copied = len(outgoing)
    while copied:
        time.sleep(quiet_seconds)
        copied = sum(_copy_late(store, name) for name in outgoing)
    for name in sorted(temporary):
        store.delete(name)


def rename_into_place(store: Store, name: str, new: "Collection") -> None:
    """Give a collection its final name, unless a service has just created one of that name."""
    try:
        with store.translate_errors():
            new.modify(name=name)
    except IndexDamagedError:
        # Chroma does not say that the name is taken. If a service has created the collection, all
        # rows are copied into that.
        if store.find(name) is None:
            raise


def _copy_late(store: Store, name: str) -> int:
    old = store.find(name + OUTGOING)
    return _copy_missing(store, old, store.get_or_create(name)) if old is not None else 0


def _copy_missing(store: Store, old: "Collection", new: "Collection") -> int:
    """Copy missing rows, and jobs accepted since; returns how many."""
    with store.translate_errors():
        copied = set(new.get(include=[])["ids"])
        missing = [id_ for id_ in old.get(include=[])["ids"] if id_ not in copied]
        for ids in rows.in_pages(missing, _PAGE):
            page: Any = old.get(ids=ids, include=["documents", "metadatas", "embeddings"])
            if page["ids"]:
                without_text = None in page["documents"]
                new.add(
                    ids=page["ids"],
                    embeddings=page["embeddings"],
                    metadatas=page["metadatas"],
                    documents=None if without_text else page["documents"],
                )
        return len(missing) + _copy_accepted(old, new)


def _copy_accepted(old: "Collection", new: "Collection") -> int:
    """Copy jobs again that were accepted since they were copied; returns how many.

    Nothing else is changed without the lock.
    """
    accepting = new.get(where={"state": "accepting"}, include=[])["ids"]
    if not accepting:
        return 0
    found: Any = old.get(ids=accepting, include=["metadatas"])
    accepted = {
        id_: fields
        for id_, fields in zip(found["ids"], found["metadatas"], strict=True)
        if fields["state"] != "accepting"
    }
    if accepted:
        new.update(ids=[*accepted], metadatas=[*accepted.values()])
    return len(accepted)
