"""Chunks as rows of a Chroma collection, and back."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection

PAGE = 250
"""Rows in one request; Chroma refuses over 5461 and bodies over 40 MiB."""


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
    return fields


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
    """Read a collection's chunks without their vectors, in Chroma's order."""
    for page in pages(collection, ["documents", "metadatas"]):
        yield from map(to_chunk, page["ids"], page["documents"], page["metadatas"])


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
