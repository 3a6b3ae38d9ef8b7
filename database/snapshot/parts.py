"""Parts of a snapshot: rows of one collection as compressed lines, written and read in a stream."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from database.index.rows import Record, Vector
from database.snapshot.manifest import Role, SnapshotPart
from utils.errors import SnapshotError

PART_BYTES = 24 << 20
"""After so many bytes before compression a part is full."""
MAX_ROW_BYTES = 16 << 20
_LEVEL = 3
_MAX_WINDOW = 1 << 23
"""Bytes of memory that a compressed stream may ask for."""
_PIECE = 1 << 18
_MAX_ID_CHARACTERS = 4096


def write_parts(
    role: Role, records: Iterable[Record], folder: Path, first: int, size: int
) -> Iterator[SnapshotPart]:
    """Write rows as files of parts and describe each; the same rows give the same files.

    Args:
        role: The collection that they are rows of.
        records: The rows.
        folder: Where the files are written.
        first: The number of the first part.
        size: Bytes before compression after which a part is full.
    """
    number = first
    packer = _Packer()
    for record in records:
        packer.add(record)
        if packer.unpacked >= size:
            yield packer.finish(role, folder, number)
            packer, number = _Packer(), number + 1
    if packer.rows:
        yield packer.finish(role, folder, number)


class _Packer:
    """Packs one part."""

    def __init__(self) -> None:
        self.rows = self.unpacked = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
        self._packed = bytearray()

    def add(self, record: Record) -> None:
        """Pack a row."""
        fields = {
            "id": record.id,
            "metadata": record.metadata,
            "text": record.text,
            "vector": base64.b64encode(record.vector.astype("<f4").tobytes()).decode(),
        }
        line = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
        if len(line) > MAX_ROW_BYTES:
            raise SnapshotError(f"A row of {len(line):,} bytes is too large for a snapshot.")
        self.rows += 1
        self.unpacked += len(line)
        self._packed += self._compressor.compress(line)

    def finish(self, role: Role, folder: Path, number: int) -> SnapshotPart:
        """Write the part's file."""
        self._packed += self._compressor.flush()
        sha256 = hashlib.sha256(self._packed).hexdigest()
        name = f"part-{number:05d}-{sha256[:16]}.zst"
        (folder / name).write_bytes(self._packed)
        return SnapshotPart(role, name, self.rows, len(self._packed), self.unpacked, sha256)


def read_part(part: SnapshotPart, content: bytes, dimension: int) -> Iterator[Record]:
    """Read the rows of a part; nothing is given before the whole of it is known to be right.

    Args:
        part: What the manifest says of it.
        content: The file, which anybody may have written.
        dimension: The length of its vectors.

    Raises:
        SnapshotError: it is not what the manifest says, or no rows can be made of it.
    """
    if len(content) != part.bytes or hashlib.sha256(content).hexdigest() != part.sha256:
        raise SnapshotError(
            f"{part.name} is not what the manifest says (SHA-256). It is not used; push again, or "
            "pull another snapshot."
        )
    rows = 0
    for line in _lines(part, content):
        rows += 1
        try:
            record = _record(orjson.loads(line), dimension)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{part.name}: row {rows} is no row of an index.") from error
        yield record
    if rows != part.rows:
        raise SnapshotError(f"{part.name} holds {rows:,} rows and should hold {part.rows:,}.")


def _lines(part: SnapshotPart, content: bytes) -> Iterator[bytes]:
    """Unpack a part line by line; memory is bounded by the longest line."""
    unpacked = 0
    rest = bytearray()
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    try:
        with decompressor.stream_reader(content) as reader:
            while piece := reader.read(_PIECE):
                unpacked += len(piece)
                if unpacked > part.unpacked:
                    break
                *lines, last = piece.split(b"\n")
                for line in lines:
                    yield bytes(rest) + line
                    rest.clear()
                rest += last
                if len(rest) > MAX_ROW_BYTES:
                    raise SnapshotError(f"{part.name} holds a row that is too long.")
    except zstandard.ZstdError as error:
        raise SnapshotError(f"{part.name} cannot be unpacked.") from error
    if unpacked != part.unpacked or rest:
        raise SnapshotError(f"{part.name} unpacks to something else than the manifest says.")


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
    """Whether a cosine with it is a number."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.dot(vector, vector))
    return 0 < square < float("inf")


def _is_metadata(fields: object) -> bool:
    """Whether Chroma takes it: texts, numbers and lists of texts."""
    if fields is None:
        return True
    return (
        isinstance(fields, dict)
        and bool(fields)
        and all(
            isinstance(value, str | int | float)
            or (isinstance(value, list) and value and all(isinstance(v, str) for v in value))
            for value in fields.values()
        )
    )
