"""Chunks as rows of a Chroma collection, and back."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection

_DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(Chunk) if field.default is not MISSING
}
PAGE = 250
"""Rows per request; Chroma refuses more than 5461, and bodies over 40 MiB."""

Vector = npt.NDArray[np.float32]
Metadata = dict[str, Any]

StoredDocuments = Mapping[str, tuple[str, int]]
"""Documents all of whose chunks a collection contains: name to (content hash, chunks)."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of any collection, as Chroma stores it."""

    id: str
    text: str
    vector: Vector
    metadata: Metadata | None
    """None instead of an empty one, which Chroma refuses."""


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk with its vector."""

    chunk: Chunk
    vector: Sequence[float]


def to_metadata(chunk: Chunk) -> dict[str, Any]:
    """A chunk's fields other than its id and text, as metadata."""
    fields: dict[str, Any] = {
        "document": chunk.document,
        "document_hash": chunk.document_hash,
        "title": chunk.title,
        "anchor": chunk.anchor,
        "url": chunk.url,
        "ordinal": chunk.ordinal,
        "siblings": chunk.siblings,
    }
    if chunk.headings:  # Chroma refuses empty lists
        fields["headings"] = list(chunk.headings)
    # Defaults are not stored: every chunk of the guide has them.
    others = {"format": chunk.format, "changed": chunk.changed, "revision": chunk.revision}
    return fields | {name: value for name, value in others.items() if value != _DEFAULTS[name]}


def to_chunk(id_: str, text: str, metadata: Mapping[str, Any]) -> Chunk:
    """The chunk of a stored row."""
    fields = dict(metadata)
    return Chunk(id=id_, text=text, headings=tuple(fields.pop("headings", ())), **fields)


def add(collection: "Collection", rows: Sequence[Row]) -> None:
    """Add rows; existing ones are left unchanged, so that an interrupted call can be repeated."""
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        collection.add(
            ids=[row.chunk.id for row in page],
            embeddings=[row.vector for row in page],
            documents=[row.chunk.text for row in page],
            metadatas=[to_metadata(row.chunk) for row in page],
        )


def add_records(collection: "Collection", records: Sequence[Record]) -> None:
    """Add raw rows, in one request."""
    vectors: Any = [record.vector for record in records]
    metadatas: Any = [record.metadata for record in records]
    collection.add(
        ids=[record.id for record in records],
        embeddings=vectors,
        documents=[record.text for record in records],
        metadatas=None if None in metadatas else metadatas,
    )


def read_page(collection: "Collection", offset: int) -> list[Row]:
    """Read a page of a collection, in Chroma's order; [] after the last page."""
    page: Any = collection.get(
        include=["documents", "metadatas", "embeddings"], limit=PAGE, offset=offset
    )
    columns = zip(
        page["ids"], page["documents"], page["metadatas"], page["embeddings"], strict=True
    )
    return [Row(to_chunk(id_, text, fields), vector) for id_, text, fields, vector in columns]


def read_chunks(collection: "Collection") -> Iterator[Chunk]:
    """Read a collection's chunks without their vectors, in Chroma's order.

    Pages are read by id, not by offset: a row deleted in the meantime would shift the offsets.
    """
    ids: list[str] = collection.get(include=[])["ids"]
    for start in range(0, len(ids), PAGE * 4):
        page: Any = collection.get(
            ids=ids[start : start + PAGE * 4], include=["documents", "metadatas"]
        )
        yield from map(to_chunk, page["ids"], page["documents"], page["metadatas"])


def read_documents(collection: "Collection", names: Sequence[str]) -> list[Chunk]:
    """Read all chunks of some documents in all stored versions, without their vectors."""
    chunks: list[Chunk] = []
    for start in range(0, len(names), PAGE):
        where: Any = {"document": {"$in": list(names[start : start + PAGE])}}
        page: Any = collection.get(where=where, include=["documents", "metadatas"])
        chunks += map(to_chunk, page["ids"], page["documents"], page["metadatas"])
    return chunks


def unseen(collection: "Collection", revision: int) -> list[str]:
    """The ids of rows that become visible only after this revision."""
    where: Any = {"revision": {"$gt": revision}}
    ids: list[str] = collection.get(where=where, include=[])["ids"]
    return ids


def delete(collection: "Collection", ids: Sequence[str]) -> None:
    """Delete rows by id; missing ones are ignored."""
    for start in range(0, len(ids), PAGE):
        collection.delete(ids=list(ids[start : start + PAGE]))


def pages(collection: "Collection", include: list[Any]) -> Iterator[Any]:
    """Read a collection page by page, as Chroma's own results, in its order."""
    offset = 0
    while True:
        page: Any = collection.get(include=include, limit=PAGE * 4, offset=offset)
        if not page["ids"]:
            return
        yield page
        offset += PAGE * 4


def missing(collection: "Collection", ids: list[str]) -> set[str]:
    """The ids that the collection does not contain."""
    found: set[str] = set()
    for start in range(0, len(ids), PAGE):
        found.update(collection.get(ids=ids[start : start + PAGE], include=[])["ids"])
    return set(ids) - found


def whole_documents(collection: "Collection") -> StoredDocuments:
    """The documents all of whose chunks a collection contains.

    Memory grows with the number of documents, not of chunks.
    """
    expected: dict[str, tuple[str, int]] = {}
    counted: dict[tuple[str, str], int] = {}
    for page in pages(collection, ["metadatas"]):
        for fields in page["metadatas"]:
            key = (fields["document"], fields["document_hash"])
            counted[key] = counted.get(key, 0) + 1
            if fields["ordinal"] == 0:
                expected[fields["document"]] = (fields["document_hash"], fields["siblings"])
    return {
        name: (content_hash, siblings)
        for name, (content_hash, siblings) in expected.items()
        if counted[name, content_hash] == siblings
    }
