"""Chunks as rows of a Chroma collection, and back."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection

T = TypeVar("T")

_HEADINGS = "heading_path"
"""The metadata field of the headings."""
PAGE = 250
"""Rows per request other than `add`; Chroma refuses more than 5461, and bodies over 40 MiB."""
_MAX_ADDED = 1024
"""Rows that one request of `add` has at most."""
_MAX_REQUEST_BYTES = 20_000_000
"""Of one request, estimated: 20 bytes of JSON for a number of a vector, 4 for a character."""

Vector = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
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


def in_pages(items: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """Split items into lists of `size`; the last one may be shorter."""
    remaining = iter(items)
    while page := list(islice(remaining, size)):
        yield page


def to_metadata(chunk: Chunk) -> dict[str, Any]:
    """A chunk's fields other than its id and text, as metadata.

    The headings are one string: Chroma keeps the lists of a deleted collection's rows, and returns
    them with new rows (github.com/chroma-core/chroma/issues/7594).
    """
    stored: dict[str, Any] = {_HEADINGS: json.dumps(chunk.headings)}
    for field in dataclasses.fields(chunk):
        value = getattr(chunk, field.name)
        # Defaults are not stored: every chunk of the guide has them.
        if field.name not in ("id", "text", "headings") and value != field.default:
            stored[field.name] = value
    return stored


def to_chunk(id_: str, text: str, metadata: Mapping[str, Any]) -> Chunk:
    """The chunk of a stored row; the rows of older versions have their headings as a list."""
    fields = dict(metadata)
    listed, written = fields.pop("headings", ()), fields.pop(_HEADINGS, None)
    headings = listed if written is None else json.loads(written)
    return Chunk(id=id_, text=text, headings=tuple(headings), **fields)


def add(collection: "Collection", rows: Sequence[Row]) -> None:
    """Add rows; existing ones are left unchanged, so that an interrupted call can be repeated."""
    largest = max((20 * len(row.vector) + 4 * len(row.chunk.text) for row in rows), default=1)
    for page in in_pages(rows, max(1, min(_MAX_ADDED, _MAX_REQUEST_BYTES // largest))):
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


def unit_vectors(vectors: npt.ArrayLike) -> Vectors:
    """Vectors divided by their lengths, (rows, dimension); one of length 0 stays."""
    given = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(given, axis=-1, keepdims=True)
    scaled: Vectors = given / np.maximum(lengths, np.finfo(np.float32).tiny)
    return scaled


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
    for some in in_pages(ids, PAGE * 4):
        page: Any = collection.get(ids=some, include=["documents", "metadatas"])
        yield from map(to_chunk, page["ids"], page["documents"], page["metadatas"])


def read_vectors(collection: "Collection", ids: Sequence[str]) -> Vectors:
    """Read vectors by id, (ids, dimension); zeros for missing ones."""
    places = {id_: place for place, id_ in enumerate(ids)}
    vectors = np.zeros((len(ids), 0), dtype=np.float32)
    for some in in_pages(ids, PAGE * 4):
        page: Any = collection.get(ids=some, include=["embeddings"])
        if page["ids"]:
            found = np.asarray(page["embeddings"], dtype=np.float32)
            if not vectors.shape[1]:
                vectors = np.zeros((len(ids), found.shape[1]), dtype=np.float32)
            vectors[[places[id_] for id_ in page["ids"]]] = found
    return vectors


def read_documents(collection: "Collection", names: Sequence[str]) -> list[Chunk]:
    """Read all chunks of some documents in all stored versions, without their vectors."""
    chunks: list[Chunk] = []
    for some in in_pages(names):
        where: Any = {"document": {"$in": some}}
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
    for page in in_pages(ids):
        collection.delete(ids=page)


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
    for page in in_pages(ids):
        found.update(collection.get(ids=page, include=[])["ids"])
    return set(ids) - found


def whole_documents(collection: "Collection") -> StoredDocuments:
    """The documents all of whose chunks a collection contains.

    Memory grows with the number of documents, not of chunks.
    """
    expected: dict[str, tuple[str, int]] = {}
    counted: Counter[tuple[str, str]] = Counter()
    for page in pages(collection, ["metadatas"]):
        for fields in page["metadatas"]:
            counted[fields["document"], fields["document_hash"]] += 1
            if fields["ordinal"] == 0:
                expected[fields["document"]] = (fields["document_hash"], fields["siblings"])
    return {
        name: (content_hash, siblings)
        for name, (content_hash, siblings) in expected.items()
        if counted[name, content_hash] == siblings
    }
