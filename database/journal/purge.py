"""Makes sure that what was deleted is in no file any more once Chroma was vacuumed.

Chroma writes every row into a log first, and cuts the log only up to where a collection was saved
to its own files. Those that are written in place never are, so their logs keep all that was ever
in them; only the log of a deleted collection goes. A purge moves them to new collections, then:

    copy to X-incoming -> rename X to X-outgoing -> rename X-incoming to X -> copy what came late
    -> delete X-outgoing

Readers without the lock find all of X at any moment but between the two names. Services accept
changes without the lock too: what they write through a handle on the old collection comes late.
"""

import time
from typing import TYPE_CHECKING, Any

from database.index.hnsw import NEVER_SYNC
from database.index.store import OUTGOING, Store
from database.journal.jobs import JOBS
from database.journal.uploads import UPLOADS
from utils.errors import IndexDamagedError

if TYPE_CHECKING:
    from chromadb import Collection

INCOMING = "-incoming"
QUIET_SECONDS = 0.5
"""How long no row may come to an outgoing collection before it is deleted: far longer than a
service holds a handle between two rows."""
_RENEWED = (UPLOADS, JOBS)  # names of documents are in jobs
_PAGE = 16
"""Rows in one request: 16 of the longest texts stay under Chroma's limit of 40 MiB."""


def rewrite_journal(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Move what came through the API, and its jobs, to new collections, and delete the old ones.

    Args:
        store: The caller holds its lock, and may write an embedded folder in place.
        quiet_seconds: How long to look for rows that come late.

    Raises:
        IndexUnavailableError: the store cannot be read or written; `finish_purge` finishes it.
    """
    finish_purge(store, quiet_seconds)
    for name in _RENEWED:
        old = store.find(name)
        if old is not None:
            new = store.create(name + INCOMING, {"made_for": name}, NEVER_SYNC)
            _copy_missing(store, old, new)
            with store.translate_errors():
                old.modify(name=name + OUTGOING)
            rename_into_place(store, name, new)
    finish_purge(store, quiet_seconds)


def has_unfinished_purge(store: Store) -> bool:
    """Whether `finish_purge` has something to do."""
    return not _passing_names().isdisjoint(store.collection_names(""))


def finish_purge(store: Store, quiet_seconds: float = QUIET_SECONDS) -> None:
    """Finish what a purge that died had begun.

    To be called before anything of a job or of an upload is read under the lock: both may be
    incomplete until then.

    Args:
        store: The caller holds its lock, and may write an embedded folder in place.
        quiet_seconds: How long to look for rows that come late.

    Raises:
        IndexUnavailableError: the store cannot be read or written.
    """
    there = _passing_names().intersection(store.collection_names(""))
    leaving = [name for name in _RENEWED if name + OUTGOING in there]
    for name in leaving:
        new = store.find(name + INCOMING)
        if new is not None:
            rename_into_place(store, name, new)
    copied = len(leaving)
    while copied:
        time.sleep(quiet_seconds)
        copied = sum(_copy_late(store, name) for name in leaving)
    for name in sorted(there):
        store.delete(name)


def _passing_names() -> set[str]:
    return {name + end for name in _RENEWED for end in (INCOMING, OUTGOING)}


def rename_into_place(store: Store, name: str, new: "Collection") -> None:
    """Give a collection its name, unless a service that wanted to write took it just now."""
    try:
        with store.translate_errors():
            new.modify(name=name)
    except IndexDamagedError:
        # Chroma says no more of a name that is taken: a service that wanted to write has made one.
        # All is copied into that.
        if store.find(name) is None:
            raise


def _copy_late(store: Store, name: str) -> int:
    old = store.find(name + OUTGOING)
    return _copy_missing(store, old, store.get_or_create(name)) if old is not None else 0


def _copy_missing(store: Store, old: "Collection", new: "Collection") -> int:
    """Copy the rows that are not in the new collection yet, or were accepted since; how many."""
    with store.translate_errors():
        held = set(new.get(include=[])["ids"])
        missing = [id_ for id_ in old.get(include=[])["ids"] if id_ not in held]
        for start in range(0, len(missing), _PAGE):
            page: Any = old.get(
                ids=missing[start : start + _PAGE],
                include=["documents", "metadatas", "embeddings"],
            )
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
    """Copy again the jobs that were still being accepted and no longer are; how many.

    That is all that is changed without the lock.
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
