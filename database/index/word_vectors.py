"""The vectors of an index's words, in a collection of their own.

They are written with the index, so that a service need not embed thousands of words at startup, and
never changed later: a reader in another process sees all of them or none.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from database.index import rows
from database.index.store import Store

if TYPE_CHECKING:
    from chromadb import Collection

_PREFIX = "words-of-"

WordVectors = npt.NDArray[np.float32]


def word_collection_name(index: str) -> str:
    """The name of the word collection of an index."""
    return f"{_PREFIX}{index}"


def read_word_vectors(store: Store, index: str) -> tuple[list[str], WordVectors] | None:
    """The stems of an index's words and their vectors, (words, dimension); None if missing."""
    collection = _find_whole(store, index)
    if collection is None:
        return None
    stems: list[str] = []
    vectors: list[WordVectors] = []
    with store.translate_errors():
        for page in rows.pages(collection, ["embeddings"]):
            stems += page["ids"]
            vectors.append(np.asarray(page["embeddings"], dtype=np.float32))
    return stems, np.concatenate(vectors or [np.zeros((0, 1), dtype=np.float32)])


def has_word_vectors(store: Store, index: str) -> bool:
    """True if the word vectors of an index are complete."""
    return _find_whole(store, index) is not None


def _find_whole(store: Store, index: str) -> "Collection | None":
    found = store.find(word_collection_name(index))
    return found if found is not None and (found.metadata or {}).get("whole") else None


def write_word_vectors(
    store: Store,
    index: str,
    words: dict[str, str],
    embed: Callable[[list[str]], list[list[float]]],
    known: Iterable[str],
) -> int:
    """Write the word vectors of an index; returns the number of words embedded.

    The vectors of `known` indexes, which have the same model, are copied. `words` maps each stem to
    its written form, which is embedded. Interrupted and called again, it resumes.
    """
    name = word_collection_name(index)
    collection = store.find(name) or store.create(name, {"whole": False})
    vectors: dict[str, Sequence[float]] = {}
    for other in known:
        found = read_word_vectors(store, other) if other != index else None
        if found:
            vectors.update(zip(found[0], found[1].tolist(), strict=True))
    with store.translate_errors():
        stored = {id_ for page in rows.pages(collection, []) for id_ in page["ids"]}
        if obsolete := sorted(stored - words.keys()):  # of an interrupted build, or an older one
            collection.delete(ids=obsolete)
    embedded = 0
    for page in rows.in_pages(stem for stem in words if stem not in stored):
        new = [stem for stem in page if stem not in vectors]
        if new:
            vectors.update(zip(new, embed([words[stem] for stem in new]), strict=True))
            embedded += len(new)
        with store.translate_errors():
            collection.add(
                ids=page,
                embeddings=[vectors[stem] for stem in page],
                documents=[words[stem] for stem in page],
            )
    with store.translate_errors():
        collection.modify(metadata={"whole": True})
    return embedded


def delete_orphans(store: Store) -> None:
    """Delete the words of deleted indexes."""
    kept = {word_collection_name(index) for index in store.index_names()}
    for name in store.collection_names(_PREFIX):
        if name not in kept:
            store.delete(name)
