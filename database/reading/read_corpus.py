"""Reads what a search needs of an index, and applies changes made to it in place."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from langchain_core.embeddings import Embeddings

from database.embedding.query_embeddings import embed_words
from database.index import rows, word_vectors
from database.index.digests import Digests
from database.index.live_pointer import LivePointer
from database.index.rows import Vectors, unit_vectors
from database.index.store import MAX_EXACT_CHUNKS, Store
from database.journal.uploads import JournalEntry, Uploads, is_current
from database.reading.verification import verify_digests
from database.searching.lexical_index import LexicalIndex, in_order
from database.searching.search import SearchCorpus
from database.searching.synonyms import RelatedWords
from dataset.chunks import Chunk
from utils.settings import build_command

if TYPE_CHECKING:
    from chromadb import Collection

log = logging.getLogger(__name__)

_SAMPLE = 1000
"""Minimum size of the sample that the cosine z-score is computed from, if there are as many."""


class OvertakenError(Exception):
    """A newer change was made while an older one was read: read the pointer again."""


def current_chunks(store: Store, live: LivePointer, collection: "Collection") -> list[Chunk]:
    """The chunks of an index at a revision, sorted by document.

    A change in progress has written rows that are not visible yet, and may not have deleted those
    it replaces. The caller reads the pointer again afterwards: later changes are missing here, or
    incomplete.
    """
    shown = Uploads(store).visible(live, live.since)
    with store.translate_errors():
        return in_order(c for c in rows.read_chunks(collection) if is_current(c, live, shown))


def read_corpus(
    store: Store,
    live: LivePointer,
    collection: "Collection",
    embeddings: Embeddings,
    digests: str,
) -> SearchCorpus:
    """Read what a search needs of an index: its chunks and its words, with their vectors.

    `digests` are those that were written; "" for an index of an older version.

    Raises:
        IndexDamagedError: what was read differs from what was written.
    """
    chunks = current_chunks(store, live, collection)
    words = word_vectors.read_word_vectors(store, live.name)
    if words is None:
        log.warning("An older version built the index, without word vectors: %s", build_command())
    stored = _stored_vectors(store, collection, chunks)
    if digests:
        found = Digests()
        found.add_chunks(chunks)
        for some, vectors_of_some in _vector_pages(store, collection, chunks, stored):
            found.add_vectors((c.document for c in some), [c.id for c in some], vectors_of_some)
        verify_digests(store, live, digests, found)
    vectors = None if stored is None else unit_vectors(stored)
    return SearchCorpus(
        collection=collection,
        embeddings=embeddings,
        chunks=chunks,
        places=_places(chunks),
        lexical=LexicalIndex(chunks),
        vectors=vectors,
        sample=_sample(store, collection, chunks, vectors),
        related=RelatedWords(*words, embed=partial(embed_words, embeddings)) if words else None,
    )


def follow_changes(
    store: Store, corpus: SearchCorpus, shown: Mapping[str, JournalEntry]
) -> SearchCorpus:
    """The corpus with the changes made in place since it was read.

    Raises:
        OvertakenError: there was a newer change in the meantime.
    """
    wanted = {name: entry.content_hash for name, entry in shown.items() if not entry.is_deletion}
    with store.translate_errors():
        found = [
            chunk
            for chunk in rows.read_documents(corpus.collection, list(wanted))
            if chunk.document_hash == wanted[chunk.document]
        ]
    whole = {chunk.document: chunk.siblings for chunk in found}
    if whole.keys() != wanted.keys() or sum(whole.values()) != len(found):
        raise OvertakenError
    found = in_order(found)
    chunks = in_order([*(c for c in corpus.chunks if c.document not in shown), *found])
    vectors = _changed_vectors(store, corpus, chunks, found)
    return replace(
        corpus,
        chunks=chunks,
        places=_places(chunks),
        lexical=corpus.lexical.changed(shown.keys(), found),
        vectors=vectors,
        sample=corpus.sample if vectors is None else vectors[_evenly(chunks)],
    )


def _stored_vectors(
    store: Store, collection: "Collection", chunks: Sequence[Chunk]
) -> Vectors | None:
    """The vectors of chunks as stored, in order; None if they are too many to keep in memory."""
    if len(chunks) > MAX_EXACT_CHUNKS:
        return None
    with store.translate_errors():
        return rows.read_vectors(collection, [chunk.id for chunk in chunks])


def _vector_pages(
    store: Store, collection: "Collection", chunks: Sequence[Chunk], stored: Vectors | None
) -> Iterator[tuple[Sequence[Chunk], Vectors]]:
    """Chunks with their vectors as stored: all at once, or read page by page if not kept."""
    if stored is not None:
        yield chunks, stored
        return
    for some in rows.in_pages(chunks, rows.PAGE * 4):
        with store.translate_errors():
            yield some, rows.read_vectors(collection, [chunk.id for chunk in some])


def _sample(
    store: Store, collection: "Collection", chunks: Sequence[Chunk], vectors: Vectors | None
) -> Vectors:
    """The unit vectors of some chunks, evenly distributed."""
    some = _evenly(chunks)
    if vectors is not None:
        return vectors[some]
    with store.translate_errors():
        return unit_vectors(rows.read_vectors(collection, [chunk.id for chunk in chunks[some]]))


def _evenly(chunks: Sequence[Chunk]) -> slice:
    """Selects _SAMPLE to 2 * _SAMPLE of the chunks, evenly distributed; all if there are fewer."""
    return slice(None, None, max(1, len(chunks) // _SAMPLE))


def _changed_vectors(
    store: Store, corpus: SearchCorpus, chunks: Sequence[Chunk], added: Sequence[Chunk]
) -> Vectors | None:
    """The vectors of `chunks`, of which those `added` are read and the others known.

    Raises:
        OvertakenError: some of those to read were deleted in the meantime.
    """
    if corpus.vectors is None or len(chunks) > MAX_EXACT_CHUNKS:
        return None
    if not added:
        return corpus.vectors[[corpus.places[chunk.id] for chunk in chunks]]
    stored = _stored_vectors(store, corpus.collection, added)
    if stored is None or not stored.any(axis=1).all():  # deleted since the chunks were read
        raise OvertakenError
    new = unit_vectors(stored)
    known = np.concatenate([corpus.vectors, new]) if len(corpus.vectors) else new
    places = dict(corpus.places)
    places.update((chunk.id, len(corpus.chunks) + n) for n, chunk in enumerate(added))
    return known[[places[chunk.id] for chunk in chunks]]


def _places(chunks: Sequence[Chunk]) -> dict[str, int]:
    return {chunk.id: place for place, chunk in enumerate(chunks)}
