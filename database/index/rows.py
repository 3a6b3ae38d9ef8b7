"""Chunks as rows of a Chroma collection, and back."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

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

_WHOLE: list[Any] = ["documents", "metadatas", "embeddings"]
"""What is read of a row."""

Vector = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]
Metadata = dict[str, Any]

RawRow = tuple[str, str | None, Mapping[str, Any] | None, Vector]
"""Id, text, metadata and vector of a chunk as Chroma returns them; damaged ones may be None."""

StoredDocuments = Mapping[str, tuple[str, int]]
"""Documents all of whose chunks a collection contains: name to (content hash, chunks)."""


_TYPES = {field.name: get_origin(field.type) or field.type for field in dataclasses.fields(Chunk)}


class DamagedRowError(Exception):
    """A stored row is no chunk: a field is missing or has another type."""


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
    vector: Sequence[float] | Vector


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


def to_chunk(id_: str, text: str | None, metadata: Mapping[str, Any] | None) -> Chunk:
    """The chunk of a stored row; the rows of older versions have their headings as a list.

    Raises:
        DamagedRowError: the row is no chunk.
    """
    fields = dict(metadata or {})
    listed, written = fields.pop("headings", ()), fields.pop(_HEADINGS, None)
    try:
        headings = tuple(listed if written is None else json.loads(written))
        chunk = Chunk(id=id_, text=text, headings=headings, **fields)  # type: ignore[arg-type]  # checked below
    except (TypeError, ValueError) as error:
        raise DamagedRowError(id_) from error
    are_of_type = all(type(getattr(chunk, name)) is kind for name, kind in _TYPES.items())
    if not are_of_type or not all(isinstance(heading, str) for heading in headings):
        raise DamagedRowError(id_)
    return chunk


def to_row(raw: RawRow) -> Row:
    """A stored row as a chunk with its vector; raises DamagedRowError like `to_chunk`."""
    id_, text, metadata, vector = raw
    return Row(to_chunk(id_, text, metadata), vector)


def intact(raw: Iterable[RawRow]) -> Iterator[Row]:
    """The rows that are chunks."""
    for each in raw:
        with suppress(DamagedRowError):
            yield to_row(each)


def add(collection: "Collection", rows: Sequence[Row]) -> None:
    """Add rows; existing ones are left unchanged, so that an interrupted call can be repeated."""
    largest = max((20 * len(row.vector) + 4 * len(row.chunk.text) for row in rows), default=1)
    for page in in_pages(rows, max(1, min(_MAX_ADDED, _MAX_REQUEST_BYTES // largest))):
        vectors: Any = [row.vector for row in page]
        collection.add(
            ids=[row.chunk.id for row in page],
            embeddings=vectors,
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


def read_raw_page(collection: "Collection", offset: int) -> list[RawRow]:
    """Read a page of a collection, in Chroma's order; [] after the last page."""
    return _raw_rows(collection.get(include=_WHOLE, limit=PAGE, offset=offset))


def read_page(collection: "Collection", offset: int) -> list[Row]:
    """Like `read_raw_page`, as chunks with their vectors."""
    return [*map(to_row, read_raw_page(collection, offset))]


def raw_pages(collection: "Collection", size: int = PAGE * 4) -> Iterator[list[RawRow]]:
    """Read all of a collection, in Chroma's order.

    Pages are read by id, not by offset: a row deleted in the meantime would shift the offsets.
    """
    ids: list[str] = collection.get(include=[])["ids"]
    for some in in_pages(ids, size):
        yield _raw_rows(collection.get(ids=some, include=_WHOLE))


def _raw_rows(page: Any) -> list[RawRow]:
    columns = page["ids"], page["documents"], page["metadatas"], page["embeddings"]
    return list(zip(*columns, strict=True))


def read_chunks(collection: "Collection") -> Iterator[Chunk]:
    """Read a collection's chunks without their vectors, like `raw_pages`."""
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
    for page in _pages_of(collection, names, ["documents", "metadatas"]):
        chunks += map(to_chunk, page["ids"], page["documents"], page["metadatas"])
    return chunks


def read_metadata(collection: "Collection", names: Sequence[str]) -> dict[str, Metadata]:
    """Read the metadata of all rows of some documents, by id; damaged rows have it too."""
    found: dict[str, Metadata] = {}
    for page in _pages_of(collection, names, ["metadatas"]):
        found.update(zip(page["ids"], page["metadatas"], strict=True))
    return found


def read_raw_rows(collection: "Collection", names: Sequence[str]) -> list[RawRow]:
    """Read all rows of some documents in all stored versions."""
    found: list[RawRow] = []
    for page in _pages_of(collection, names, _WHOLE):
        found += _raw_rows(page)
    return found


def _pages_of(collection: "Collection", names: Sequence[str], include: list[Any]) -> Iterator[Any]:
    for some in in_pages(names):
        where: Any = {"document": {"$in": some}}
        yield collection.get(where=where, include=include)


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
