"""Finds the rows of existing collections that a new one can copy."""

import logging
from collections.abc import Mapping

from database.index import rows
from database.index.collection_check import check_collection, is_readable
from database.index.fingerprint import Fingerprint, Recipe
from database.index.rows import StoredDocuments
from database.index.store import Store
from utils.errors import IndexDamagedError, IndexMissingError

log = logging.getLogger(__name__)


def read_live_documents(store: Store) -> tuple[str, StoredDocuments, Recipe | None]:
    """The live collection's name, documents and recipe; empty if there is none or it is damaged."""
    try:
        live, collection, fingerprint = store.live_collection()
        check_collection(store, live.name)
    except IndexMissingError:
        return "", {}, None
    except IndexDamagedError as error:
        log.warning("%s Building from scratch.", error)
        return "", {}, None
    with store.translate_errors():
        return live.name, rows.whole_documents(collection), fingerprint.recipe


def collections_to_copy(
    store: Store, recipe: Recipe, contents: Mapping[str, str], first: list[str]
) -> dict[str, StoredDocuments]:
    """The collections to copy from, each with the complete and current documents to copy.

    Damaged collections are deleted, except the live and the previous one: readers may use them, and
    a check can fail for another reason, such as a lack of memory. `contents` maps the desired
    documents to their content hashes. `first` names the preferred collections: an interrupted
    build's of the same content, then the live one.
    """
    sources: dict[str, StoredDocuments] = {}
    missing = set(contents.items())
    live = store.live()
    in_use = {live.name, live.previous} if live else set()
    names = store.index_names()
    for name in sorted(names, key=lambda name: first.index(name) if name in first else 2):
        collection = store.find(name)
        found = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if not collection or not found or found.recipe.digest() != recipe.digest():
            continue
        if name != first[1] and not is_readable(store, name):  # the live one has been checked
            if name not in in_use:
                log.warning("Deleting the damaged collection %s", name)
                store.delete(name)
            continue
        with store.translate_errors():
            stored = rows.whole_documents(collection)
        sources[name] = {n: stored[n] for n in stored if (n, stored[n][0]) in missing}
        missing -= {(n, stored[n][0]) for n in sources[name]}
    return sources
