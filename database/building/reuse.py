"""Finds the rows of existing collections that a new one can copy."""

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from database.building.intact_documents import IntactDocuments, read_intact_documents
from database.index import word_vectors
from database.index.checks.collection_check import check_collection, is_readable
from database.index.fingerprint import Fingerprint, Recipe
from database.index.rows import StoredDocuments
from database.index.store import Store
from utils.errors import IndexDamagedError, IndexMissingError

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)

_ANY_REVISION = 1 << 62


@dataclass(frozen=True, slots=True)
class LiveIndex:
    """What a build can take over from the live index."""

    name: str = ""
    documents: StoredDocuments = field(default_factory=dict)
    """Its documents; those that are damaged, or in a batch with damaged ones, are left out."""
    recipe: Recipe | None = None
    is_damaged: bool = False


def read_live_index(store: Store) -> LiveIndex:
    """Read the live index; empty if there is none, or it cannot be read at all."""
    try:
        live, collection, fingerprint = store.live_collection()
        check_collection(store, live.name)
        found = read_intact_documents(store, collection, fingerprint, live.revision)
    except IndexMissingError:
        return LiveIndex()
    except IndexDamagedError as error:
        log.warning("%s Building from scratch.", error)
        return LiveIndex()
    is_damaged = found.is_damaged or not _has_intact_words(store, live.name)
    if is_damaged:
        log.warning("The index at %s is damaged; the damaged part is built again", store.database)
    return LiveIndex(live.name, found.documents, fingerprint.recipe, is_damaged)


def _has_intact_words(store: Store, index: str) -> bool:
    """False if the vectors of an index's words are damaged."""
    try:
        word_vectors.read_word_vectors(store, index)
    except IndexDamagedError:
        return False
    return True


def collections_to_copy(
    store: Store, recipe: Recipe, contents: Mapping[str, str], target: str, before: LiveIndex
) -> dict[str, StoredDocuments]:
    """The collections to copy from, each with the complete and current documents to copy.

    Unreadable collections are deleted, except the live and the previous one: readers may use them,
    and a check can fail for another reason, such as a lack of memory. `contents` maps the desired
    documents to their content hashes. Preferred are the collection named `target`, which an
    interrupted build of the same content left, then the live one, `before`. A damaged `target` is
    deleted: its rows would be taken for new ones.
    """
    sources: dict[str, StoredDocuments] = {}
    missing = set(contents.items())
    live = store.live()
    in_use = {live.name, live.previous} if live else set()
    first = [target, before.name]
    names = store.index_names()
    for name in sorted(names, key=lambda name: first.index(name) if name in first else 2):
        collection = store.find(name)
        found = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if not collection or not found or found.recipe.digest() != recipe.digest():
            continue
        if name == before.name:
            sources[name] = _wanted(before.documents, missing)
        elif not is_readable(store, name):
            if name not in in_use:
                _delete_damaged(store, name)
        elif missing:
            revision = live.previous_revision if live and name == live.previous else _ANY_REVISION
            stored = _intact_documents(store, collection, found, revision)
            if stored.is_damaged and name == target and not (live and name == live.name):
                _delete_damaged(store, name)
            else:
                sources[name] = _wanted(stored.documents, missing)
        missing -= {(n, stored[0]) for n, stored in sources.get(name, {}).items()}
    return sources


def _delete_damaged(store: Store, name: str) -> None:
    log.warning("Deleting the damaged collection %s", name)
    store.delete(name)


def _wanted(stored: StoredDocuments, missing: Set[tuple[str, str]]) -> StoredDocuments:
    return {name: stored[name] for name in stored if (name, stored[name][0]) in missing}


def _intact_documents(
    store: Store, collection: "Collection", fingerprint: Fingerprint, revision: int
) -> IntactDocuments:
    """Like `read_intact_documents`; none of a collection whose rows cannot be read."""
    try:
        return read_intact_documents(store, collection, fingerprint, revision)
    except IndexDamagedError:
        return IntactDocuments({}, is_damaged=True)
