"""The vectors of an index's words, in a collection of their own.

They are written with the index, so that a service need not embed thousands of words at startup, and
never changed later: a reader in another process sees all of them or none.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from database.index import rows
from database.index.connection import damaged_index_error
from database.index.digests import Digests
from database.index.store import Store
from utils.errors import IndexDamagedError

if TYPE_CHECKING:
    from chromadb import Collection

_PREFIX = "words-of-"
_DIGESTS = "digests"
"""The metadata field of the words' digests; older versions wrote none."""

WordVectors = npt.NDArray[np.float32]


def word_collection_name(index: str) -> str:
    """The name of the word collection of an index."""
    return f"{_PREFIX}{index}"


def read_word_vectors(store: Store, index: str) -> tuple[list[str], WordVectors] | None:
    """The stems of an index's words and their vectors, (words, dimension); None if missing.

    Raises:
        IndexDamagedError: they differ from those written.
    """
    collection = _find_whole(store, index)
    if collection is None:
        return None
    with store.translate_errors():
        stems, vectors = _read(collection)
    written = collection.metadata.get(_DIGESTS)
    if written is not None and written != _digests(stems, vectors):
        raise damaged_index_error(store.database, "is damaged (the vectors of its words)")
    return stems, vectors


def _read(collection: "Collection") -> tuple[list[str], WordVectors]:
    stems: list[str] = []
    vectors = [np.zeros((0, 1), dtype=np.float32)]
    for page in rows.pages(collection, ["embeddings"]):
        stems += page["ids"]
        vectors.append(np.asarray(page["embeddings"], dtype=np.float32))
    return stems, np.concatenate(vectors[1:] or vectors)


def _digests(stems: Sequence[str], vectors: WordVectors) -> str:
    digests = Digests()
    digests.add_vectors(stems, stems, vectors)
    return str(digests)


def complete(store: Store, collection: "Collection") -> None:
    """Record that all words of an index are written, with their digests."""
    with store.translate_errors():
        collection.modify(metadata={"whole": True, _DIGESTS: _digests(*_read(collection))})


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
        with suppress(IndexDamagedError):
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
    complete(store, collection)
    return embedded


def delete_orphans(store: Store) -> None:
    """Delete the words of deleted indexes."""
    kept = {word_collection_name(index) for index in store.index_names()}
    for name in store.collection_names(_PREFIX):
        if name not in kept:
            store.delete(name)
