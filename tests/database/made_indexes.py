"""Small indexes with words and documents added through the API."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from database.index import rows, word_vectors
from database.index.fingerprint import Fingerprint, InPlaceChange
from database.index.live_pointer import LivePointer
from database.index.rows import Row
from database.index.store import Store
from database.journal.uploads import Uploads
from dataset.chunks import Chunk
from dataset.documents import Document
from tests.files.pages import WordEmbeddings, chunk, recipe

WORDS = {"kiln": "kilns", "oak": "oak", "dri": "dry"}


def chunks_of(*texts: str, document: str = "kilns.md") -> list[Chunk]:
    """The chunks of a page."""
    return [
        chunk(text, document=document, ordinal=at, siblings=len(texts), headings=("Drying",))
        for at, text in enumerate(texts)
    ]


def many_chunks(count: int) -> list[Chunk]:
    """Enough chunks for several pages of rows."""
    return chunks_of(*(f"Kiln number {n} dries oak in {n} hours." for n in range(count)))


def make_index(store: Store, chunks: Sequence[Chunk], name: str = "index-made") -> LivePointer:
    """Create a live index of chunks, with its words."""
    fingerprint = Fingerprint(
        recipe=recipe(),
        corpus_hash=hashlib.sha256(repr(chunks).encode()).hexdigest(),
        documents=len({c.document for c in chunks}),
        chunks=len(chunks),
        built_at="2026-01-02T03:04:05+00:00",
    )
    embeddings = WordEmbeddings()
    collection = store.create(name, fingerprint.to_metadata(), len(chunks))
    vectors = embeddings.embed_documents([c.text_to_embed for c in chunks])
    rows.add(collection, [*map(Row, chunks, vectors)])
    word_vectors.write_word_vectors(store, name, WORDS, embeddings.embed_documents, [])
    return store.set_live(name)


def change_in_place(store: Store, *added: Chunk) -> LivePointer:
    """Add chunks to the live index and make them visible."""
    live, _, fingerprint = store.live_collection()
    add_unseen(store, *added)
    return store.advance(live, "job-of-chunks", _changed(fingerprint, added))


def _changed(fingerprint: Fingerprint, added: Sequence[Chunk]) -> InPlaceChange:
    return InPlaceChange(
        corpus_hash=fingerprint.corpus_hash,
        documents=fingerprint.documents + len({chunk.document for chunk in added}),
        chunks=fingerprint.chunks + len(added),
        changed_at="2026-02-03T04:05:06+00:00",
        digests="",
    )


def add_unseen(store: Store, *added: Chunk) -> None:
    """Add chunks that are not visible yet."""
    live, collection, _ = store.live_collection()
    new = [replace(c, revision=live.revision + 1) for c in added]
    vectors = WordEmbeddings().embed_documents([c.text_to_embed for c in added])
    rows.add(collection, [*map(Row, new, vectors)])


def document(name: str, text: str) -> Document:
    """A document in the API's format."""
    content_hash = hashlib.sha256(text.encode()).hexdigest()
    return Document(name=name, text=text, title="", url="", content_hash=content_hash)


def upload(store: Store, job: str, *documents: Document) -> None:
    """Record documents as added through the API, visible to builds."""
    Uploads(store).add(job, documents)
    _make_visible(store, job)


def delete_upload(store: Store, job: str, name: str) -> None:
    """Record a document as deleted through the API."""
    Uploads(store).add_deletion(job, name)
    _make_visible(store, job)


def _make_visible(store: Store, job: str) -> None:
    live, _, fingerprint = store.live_collection()
    live = store.advance(live, job, _changed(fingerprint, []))
    Uploads(store).mark_visible(Uploads(store).of_job(job), live.revision)


def uploaded(store: Store) -> dict[str, str]:
    """The API's documents that a build keeps: name to text."""
    live, _, _ = store.live_collection()
    uploads = Uploads(store)
    return {name: uploads.document(entry).text for name, entry in uploads.current(live).items()}


def words_of(store: Store) -> dict[str, bytes]:
    """The live index's words and their vectors."""
    live, _, _ = store.live_collection()
    found = word_vectors.read_word_vectors(store, live.name)
    assert found is not None
    return {word: vector.tobytes() for word, vector in zip(*found, strict=True)}


def vectors_of(store: Store) -> dict[str, bytes]:
    """The live index's vectors as Chroma returns them, bit for bit."""
    _, collection, _ = store.live_collection()
    got: Any = collection.get(include=["embeddings"])
    return {
        id_: np.asarray(vector, dtype=np.float32).tobytes()
        for id_, vector in zip(got["ids"], got["embeddings"], strict=True)
    }


def clear(store: Store) -> None:
    """Delete everything in a store shared by tests."""
    for name in store.collection_names(""):
        store.delete(name)


def damage(index: Path) -> None:
    """Overwrite the vectors of an embedded index, as a failing disk could."""
    for file in index.glob("*/*.bin"):
        file.write_bytes(b"\x00" * 7)
