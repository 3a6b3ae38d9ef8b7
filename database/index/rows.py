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
"""Rows in one request; Chroma refuses over 5461 and bodies over 40 MiB."""


Vector = npt.NDArray[np.float32]
Metadata = dict[str, Any]

StoredDocuments = Mapping[str, tuple[str, int]]
"""Documents whose chunks a collection holds whole: name to (content hash, number of chunks)."""


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a collection, as Chroma takes it."""

    id: str
    text: str
    vector: Vector
    metadata: Metadata | None
    """None where it has none: Chroma takes no empty one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk with its vector."""

    chunk: Chunk
    vector: Sequence[float]


def to_metadata(chunk: Chunk) -> dict[str, Any]:
    """What is stored of a chunk beside its id, text and vector."""
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
    # What every chunk of the guide has alike is not stored with each of them.
    others = {"format": chunk.format, "changed": chunk.changed, "revision": chunk.revision}
    return fields | {name: value for name, value in others.items() if value != _DEFAULTS[name]}


def to_chunk(id_: str, text: str, metadata: Mapping[str, Any]) -> Chunk:
    """A chunk as it was before it was stored."""
    fields = dict(metadata)
    return Chunk(id=id_, text=text, headings=tuple(fields.pop("headings", ())), **fields)


def add(collection: "Collection", rows: Sequence[Row]) -> None:
    """Add rows; those already there stay as they are, so that a broken call can be repeated."""
    for start in range(0, len(rows), PAGE):
        page = rows[start : start + PAGE]
        collection.add(
            ids=[row.chunk.id for row in page],
            embeddings=[row.vector for row in page],
            documents=[row.chunk.text for row in page],
            metadatas=[to_metadata(row.chunk) for row in page],
        )


def read_page(collection: "Collection", offset: int) -> list[Row]:
    """Read a page of a collection, in Chroma's order; [] after the last one."""
    page: Any = collection.get(
        include=["documents", "metadatas", "embeddings"], limit=PAGE, offset=offset
    )
    columns = zip(
        page["ids"], page["documents"], page["metadatas"], page["embeddings"], strict=True
    )
    return [Row(to_chunk(id_, text, fields), vector) for id_, text, fields, vector in columns]


def read_chunks(collection: "Collection") -> Iterator[Chunk]:
    """Read a collection's chunks without their vectors, in Chroma's order.

    By the ids of one moment: were rows deleted meanwhile, places would shift and some be skipped.
    """
    ids: list[str] = collection.get(include=[])["ids"]
    for start in range(0, len(ids), PAGE * 4):
        page: Any = collection.get(
            ids=ids[start : start + PAGE * 4], include=["documents", "metadatas"]
        )
        yield from map(to_chunk, page["ids"], page["documents"], page["metadatas"])


def read_documents(collection: "Collection", names: Sequence[str]) -> list[Chunk]:
    """Read all chunks of some documents, without their vectors; of every version that is there."""
    chunks: list[Chunk] = []
    for start in range(0, len(names), PAGE):
        where: Any = {"document": {"$in": list(names[start : start + PAGE])}}
        page: Any = collection.get(where=where, include=["documents", "metadatas"])
        chunks += map(to_chunk, page["ids"], page["documents"], page["metadatas"])
    return chunks


def unseen(collection: "Collection", revision: int) -> list[str]:
    """The ids of rows that wait for a later revision than this."""
    where: Any = {"revision": {"$gt": revision}}
    ids: list[str] = collection.get(where=where, include=[])["ids"]
    return ids


def delete(collection: "Collection", ids: Sequence[str]) -> None:
    """Delete rows; those that are gone already are as good."""
    for start in range(0, len(ids), PAGE):
        collection.delete(ids=list(ids[start : start + PAGE]))


def pages(collection: "Collection", include: list[Any]) -> Iterator[Any]:
    """Read a collection page by page, as Chroma gives it, in its order."""
    offset = 0
    while True:
        page: Any = collection.get(include=include, limit=PAGE * 4, offset=offset)
        if not page["ids"]:
            return
        yield page
        offset += PAGE * 4


def missing(collection: "Collection", ids: list[str]) -> set[str]:
    """Those of the ids that the collection does not hold."""
    held: set[str] = set()
    for start in range(0, len(ids), PAGE):
        held.update(collection.get(ids=ids[start : start + PAGE], include=[])["ids"])
    return set(ids) - held


def whole_documents(collection: "Collection") -> dict[str, tuple[str, int]]:
    """The documents that a collection holds whole: name to (content hash, number of chunks).

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
