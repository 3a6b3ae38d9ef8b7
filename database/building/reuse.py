"""What the collections of a store hold that a new one can take over."""

import logging
from collections.abc import Mapping

from database.index import rows
from database.index.check import check_collection
from database.index.fingerprint import Fingerprint, Recipe
from database.index.rows import StoredDocuments
from database.index.store import Store
from utils.errors import IndexDamagedError, IndexMissingError

log = logging.getLogger(__name__)


def read_live_documents(store: Store) -> tuple[str, StoredDocuments, Recipe | None]:
    """The live collection's name, documents and recipe; nothing where none is worth keeping."""
    try:
        live, collection, fingerprint = store.live_collection()
        check_collection(store, live.name)
    except IndexMissingError:
        return "", {}, None
    except IndexDamagedError as error:
        log.warning("%s Building anew.", error)
        return "", {}, None
    with store.translate_errors():
        return live.name, rows.whole_documents(collection), fingerprint.recipe


def collections_to_copy(
    store: Store, recipe: Recipe, contents: Mapping[str, str], first: list[str]
) -> dict[str, StoredDocuments]:
    """Collections to copy from, each with the documents it holds whole and up to date.

    First what an interrupted build towards the same goal left, then the live one, then others.
    A damaged one is deleted: nothing can be had from it. Not those that readers may be reading or
    be led back to: a check can fail for reasons of its own, like want of memory.
    """
    sources: dict[str, StoredDocuments] = {}
    wanted = set(contents.items())
    live = store.live()
    in_use = {live.name, live.previous} if live else set()
    names = store.index_names()
    for name in sorted(names, key=lambda name: first.index(name) if name in first else 2):
        collection = store.find(name)
        found = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if not collection or not found or found.recipe.digest() != recipe.digest():
            continue
        if name != first[1] and not _is_readable(store, name):  # the live one was looked at
            if name not in in_use:
                log.warning("Deleting the damaged collection %s", name)
                store.delete(name)
            continue
        with store.translate_errors():
            held = rows.whole_documents(collection)
        sources[name] = {n: held[n] for n in held if (n, held[n][0]) in wanted}
        wanted -= {(n, held[n][0]) for n in sources[name]}
    return sources


def _is_readable(store: Store, name: str) -> bool:
    try:
        check_collection(store, name)
    except IndexDamagedError:
        return False
    return True
