"""Digests of an index's rows, written when it goes live, by which damage is detected.

Rows are digested in batches: those of a document are in the batch that its name selects. A batch's
digest is the sum of its rows' hashes mod 2^64: it does not depend on their order, and a change of
some documents updates it without reading the others.
"""

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
import orjson

from database.index import rows
from database.index.rows import Row, Vectors
from dataset.chunks import Chunk

if TYPE_CHECKING:
    from chromadb import Collection

_BATCHES = 64
_HASH_BYTES = 8

Sums = npt.NDArray[np.uint64]


class Digests:
    """The digests of the batches."""

    def __init__(self, sums: Sums | None = None) -> None:
        """Start with the digests of no rows, or with these sums, (batches,)."""
        self.sums = np.zeros(_BATCHES, np.uint64) if sums is None else sums

    @classmethod
    def parse(cls, text: str) -> Self:
        """The digests that `str` has written; of no rows for a text that is none of them."""
        try:
            sums = np.frombuffer(bytes.fromhex(text), np.uint64).reshape(_BATCHES)
        except ValueError:
            return cls()
        return cls(sums)

    def __str__(self) -> str:
        return self.sums.tobytes().hex()

    def __add__(self, other: "Digests") -> "Digests":
        return Digests(self.sums + other.sums)

    def __sub__(self, other: "Digests") -> "Digests":
        return Digests(self.sums - other.sums)

    def add_chunks(self, chunks: Iterable[Chunk]) -> None:
        """Add the texts and metadata of rows; the revision, which copies lack, is no part."""
        for chunk in chunks:
            fields = rows.to_metadata(chunk)
            fields.pop("revision", None)
            content = orjson.dumps([chunk.id, chunk.text, fields], option=orjson.OPT_SORT_KEYS)
            self._add(chunk.document, content)

    def add_vectors(self, documents: Iterable[str], ids: Sequence[str], vectors: Vectors) -> None:
        """Add the vectors of rows, (ids, dimension), as Chroma returns them."""
        for document, id_, vector in zip(documents, ids, vectors, strict=True):
            self._add(document, id_.encode() + vector.tobytes())

    def add_rows(self, added: Iterable[Row]) -> None:
        """Add whole rows."""
        added = list(added)
        chunks = [row.chunk for row in added]
        vectors = np.asarray([row.vector for row in added], dtype=np.float32)
        self.add_chunks(chunks)
        self.add_vectors((c.document for c in chunks), [c.id for c in chunks], vectors)

    def _add(self, document: str, content: bytes) -> None:
        digest = hashlib.blake2b(content, digest_size=_HASH_BYTES).digest()
        # An array of one, as numpy warns of the overflow of a scalar.
        batch = batch_of(document)
        self.sums[batch : batch + 1] += np.frombuffer(digest, np.uint64)

    def damaged_batches(self, expected: "Digests") -> set[int]:
        """The batches that differ from the expected ones."""
        return set(np.flatnonzero((self - expected).sums).tolist())


def batch_of(document: str) -> int:
    """The batch that contains a document's rows."""
    return zlib.crc32(document.encode()) % _BATCHES


def digests_of(collection: "Collection", revision: int = 0) -> Digests:
    """The digests of a collection's rows up to a revision.

    Raises:
        DamagedRowError: a row cannot be read.
    """
    digests = Digests()
    for page in rows.raw_pages(collection):
        read = map(rows.to_row, page)
        digests.add_rows(row for row in read if row.chunk.revision <= revision)
    return digests
