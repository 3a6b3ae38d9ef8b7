"""Streams the rows of a collection to and from the parts of a snapshot (compressed JSON lines)."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from database.index.disk_space import check_space
from database.index.rows import Record, Vector
from database.snapshot.manifest import CollectionRole, SnapshotPart
from utils.errors import SnapshotError

PART_BYTES = 24 << 20
"""Size of a full part before compression."""
MAX_ROW_BYTES = 16 << 20
_LEVEL = 3
_MAX_WINDOW = 1 << 23
"""Maximum memory for decompression, in bytes."""
_CHUNK_BYTES = 1 << 18
_MAX_ID_CHARACTERS = 4096


def write_parts(
    role: CollectionRole, records: Iterable[Record], folder: Path, first: int, size: int
) -> Iterator[SnapshotPart]:
    """Write rows to part files, numbered from `first`; the same rows give the same files.

    A part is full when it has `size` bytes before compression.
    """
    lines = map(_line, records)
    number = first
    while part := _write_part(role, lines, folder, number, size):
        yield part
        number += 1


def _write_part(
    role: CollectionRole, lines: Iterator[bytes], folder: Path, number: int, size: int
) -> SnapshotPart | None:
    """Compress lines to a part file until it is full; None if there are no more lines."""
    rows = unpacked = 0
    packed = bytearray()
    compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    for line in lines:
        rows += 1
        unpacked += len(line)
        packed += compressor.compress(line)
        if unpacked >= size:
            break
    if not rows:
        return None
    packed += compressor.flush()
    sha256 = hashlib.sha256(packed).hexdigest()
    name = f"part-{number:05d}-{sha256[:16]}.zst"
    check_space(folder, len(packed))
    (folder / name).write_bytes(packed)
    return SnapshotPart(role, name, rows, len(packed), unpacked, sha256)


def _line(record: Record) -> bytes:
    fields = {
        "id": record.id,
        "metadata": record.metadata,
        "text": record.text,
        "vector": base64.b64encode(record.vector.astype("<f4").tobytes()).decode(),
    }
    line = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    if len(line) > MAX_ROW_BYTES:
        raise SnapshotError(f"A row of {len(line):,} bytes is too large for a snapshot.")
    return line


def read_part(part: SnapshotPart, content: bytes, dimension: int) -> Iterator[Record]:
    """Read the rows of an untrusted part file; its hash is checked before the first row.

    Raises:
        SnapshotError: the file differs from the manifest or contains invalid rows.
    """
    if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
        raise SnapshotError(
            f"{part.name} is not what the manifest says (SHA-256). Push again, or pull another "
            "snapshot."
        )
    rows = 0
    for line in _lines(part, content):
        rows += 1
        try:
            record = _record(orjson.loads(line), dimension)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{part.name}: row {rows} is invalid.") from error
        yield record
    if rows != part.rows:
        raise SnapshotError(f"{part.name} contains {rows:,} rows instead of {part.rows:,}.")


def _lines(part: SnapshotPart, content: bytes) -> Iterator[bytes]:
    """Decompress a part line by line; memory is bounded by the longest line."""
    unpacked = 0
    rest = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        with decompressor.stream_reader(content) as reader:
            while chunk := reader.read(_CHUNK_BYTES):
                unpacked += len(chunk)
                if unpacked > part.unpacked:
                    break
                *lines, last = chunk.split(b"\n")
                for line in lines:
                    yield bytes(rest) + line
                    rest.clear()
                rest += last
                if len(rest) > MAX_ROW_BYTES:
                    raise SnapshotError(f"{part.name} contains a row that is too long.")
    except zstandard.ZstdError as error:
        raise SnapshotError(f"{part.name} cannot be decompressed.") from error
    if unpacked != part.unpacked or rest:
        raise SnapshotError(f"{part.name} decompresses to another size than the manifest says.")


def _record(fields: dict[str, Any], dimension: int) -> Record:
    id_, text, metadata = fields["id"], fields["text"], fields["metadata"]
    vector = np.frombuffer(base64.b64decode(fields["vector"], validate=True), dtype="<f4")
    if vector.shape != (dimension,) or not _has_direction(vector):
        raise ValueError("not a vector of this collection")
    if not isinstance(id_, str) or not 0 < len(id_) <= _MAX_ID_CHARACTERS:
        raise ValueError("not an id")
    if not isinstance(text, str) or not _is_metadata(metadata):
        raise ValueError("not a row")
    return Record(id_, text, vector, metadata)


def _has_direction(vector: Vector) -> bool:
    """True if the cosine similarity with this vector is defined."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.dot(vector, vector))
    return 0 < square < float("inf")


def _is_metadata(fields: object) -> bool:
    """True if Chroma accepts it: texts, numbers and lists of texts."""
    return fields is None or (
        isinstance(fields, dict)
        and bool(fields)
        and all(
            isinstance(value, str | int | float)
            or (isinstance(value, list) and value and all(isinstance(v, str) for v in value))
            for value in fields.values()
        )
    )
