"""The journal: documents added through the API, and the names of those deleted.

They have a collection of their own: an index contains only chunks, and another model or chunker
needs the texts again. Each entry records the revision that made it visible, which tells a reader
what has changed. The pointer alone decides what is visible: it names the last job, whose entries
are marked later.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from database.index import rows
from database.index.live_pointer import LivePointer
from database.index.store import Store
from dataset.chunks import Chunk
from dataset.documents import Document

UPLOADS = "uploads"
_METADATA = ("content_hash", "title", "url", "format", "changed")
"""The fields of a document that are stored under their own names."""
_PART = 100_000
"""Characters of a document's text per row."""
_BATCH = 16
"""Rows per request: 16 of the longest are below Chroma's limit of 40 MiB."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A change of one document."""

    id: str
    job: str
    document: str
    content_hash: str
    """Content hash of the added document; "" for a deletion."""
    revision: int
    """The revision that made it visible; 0 while pending or not marked yet."""
    parts: int
    """Number of rows that contain the text."""

    @property
    def is_deletion(self) -> bool:
        """True for a deleted document."""
        return not self.content_hash

    @property
    def row_ids(self) -> list[str]:
        """The ids of the rows that contain the text, in order."""
        return [f"{self.id}/{at}" for at in range(self.parts)]


class Uploads:
    """The journal of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: str, documents: Sequence[Document]) -> None:
        """Add the documents that a job puts into the index."""
        for number, document in enumerate(documents):
            text = document.text
            parts = [text[at : at + _PART] for at in range(0, len(text), _PART)] or [" "]
            fields = {"job": job, "document": document.name, "parts": len(parts), "revision": 0}
            fields |= {name: getattr(document, name) for name in _METADATA}
            self._write(f"{job}-{number:05d}", parts, fields)

    def add_deletion(self, job: str, name: str) -> None:
        """Add the deletion of a document by a job."""
        fields = {"job": job, "document": name, "content_hash": "", "parts": 1, "revision": 0}
        self._write(f"{job}-00000", [" "], fields)

    def _write(self, entry: str, parts: list[str], fields: dict[str, Any]) -> None:
        collection = self._store.get_or_create(UPLOADS)
        for batch in rows.in_pages(enumerate(parts), _BATCH):
            ids = [f"{entry}/{at}" for at, _ in batch]
            with self._store.translate_errors():
                collection.upsert(
                    ids=ids,
                    embeddings=[_placeholder(id_) for id_ in ids],
                    documents=[text for _, text in batch],
                    metadatas=[fields | {"part": at} for at, _ in batch],
                )

    def of_job(self, job: str) -> list[JournalEntry]:
        """A job's entries, in the order of its documents."""
        return sorted(self._entries({"job": job}), key=lambda entry: entry.id)

    def of_document(self, name: str) -> list[JournalEntry]:
        """All entries of a document."""
        return list(self._entries({"document": name}))

    def visible(self, live: LivePointer, after: int) -> dict[str, JournalEntry]:
        """The last change of each document, from after one revision up to the live one."""
        marked = {"$and": [{"revision": {"$gt": after}}, {"revision": {"$lte": live.revision}}]}
        # In one request: the last job's entries may be marked between two.
        found = [
            replace(entry, revision=entry.revision or live.job_revision)
            for entry in self._entries({"$or": [marked, {"job": live.job}]})
        ]
        shown = [entry for entry in found if after < entry.revision <= live.revision]
        return {e.document: e for e in sorted(shown, key=lambda entry: entry.revision)}

    def current(self, live: LivePointer) -> dict[str, JournalEntry]:
        """The last change of each document that a build must apply."""
        return self.visible(live, live.folder_since)

    def document(self, entry: JournalEntry) -> Document:
        """The document that an entry has added."""
        collection = self._store.get_or_create(UPLOADS)
        texts: list[str] = []
        fields: dict[str, Any] = {}
        for ids in rows.in_pages(entry.row_ids, _BATCH):
            with self._store.translate_errors():
                page: Any = collection.get(ids=ids, include=["documents", "metadatas"])
            by_id = dict(zip(page["ids"], page["documents"], strict=True))
            texts += [by_id[id_] for id_ in ids]
            fields = fields or page["metadatas"][0]
        metadata = {name: fields[name] for name in _METADATA}
        return Document(name=entry.document, text="".join(texts), **metadata)

    def mark_visible(self, entries: Iterable[JournalEntry], revision: int) -> None:
        """Record the revision that made entries visible."""
        collection = self._store.get_or_create(UPLOADS)
        for page in rows.in_pages(id_ for entry in entries for id_ in entry.row_ids):
            with self._store.translate_errors():
                collection.update(ids=page, metadatas=[{"revision": revision}] * len(page))

    def delete(self, entries: Iterable[JournalEntry]) -> None:
        """Delete entries and their texts."""
        collection = self._store.get_or_create(UPLOADS)
        with self._store.translate_errors():
            rows.delete(collection, [id_ for entry in entries for id_ in entry.row_ids])

    def document_names(self, live: LivePointer) -> set[str]:
        """Names of the documents added through the API and not deleted since."""
        return {name for name, entry in self.current(live).items() if not entry.is_deletion}

    def pending(self, live: LivePointer) -> list[JournalEntry]:
        """The entries that are not visible yet."""
        found = self._entries({"revision": 0})
        return [entry for entry in found if entry.job != live.job]

    def superseded(self, entries: Iterable[JournalEntry], revision: int) -> list[JournalEntry]:
        """The older visible entries of the same documents."""
        names = sorted({entry.document for entry in entries})
        if not names:
            return []
        found = self._entries({"document": {"$in": names}})
        return [entry for entry in found if 0 < entry.revision < revision]

    def _entries(self, where: dict[str, Any]) -> Iterator[JournalEntry]:
        collection = self._store.find_during_purge(UPLOADS)
        if collection is None:
            return
        with self._store.translate_errors():
            found: Any = collection.get(where={"$and": [{"part": 0}, where]}, include=["metadatas"])
        names = ("job", "document", "content_hash", "revision", "parts")
        for id_, fields in zip(found["ids"], found["metadatas"], strict=True):
            entry = id_.rsplit("/", 1)[0]
            yield JournalEntry(id=entry, **{name: fields[name] for name in names})


def is_current(chunk: Chunk, live: LivePointer, shown: Mapping[str, JournalEntry]) -> bool:
    """True if a chunk of the live collection is visible to readers.

    `shown` are the visible changes made in place, by document.
    """
    changed = shown.get(chunk.document)
    is_of_now = changed is None or changed.content_hash == chunk.document_hash
    return chunk.revision <= live.revision and is_of_now


def _placeholder(id_: str) -> Sequence[float]:
    """A vector, which Chroma requires; distinct ones, since HNSW degrades with equal vectors."""
    digest = hashlib.sha256(id_.encode()).digest()
    return [1.0 + digest[0], 1.0 + digest[1]]
