"""The rows of a snapshot, downloaded part by part, and what has to be true of each."""

from collections.abc import Iterator
from dataclasses import fields
from typing import get_origin

from database.index import rows
from database.index.rows import Record
from database.snapshot import upload_rows
from database.snapshot.catalogue import Snapshot
from database.snapshot.manifest import Role, SnapshotPart
from database.snapshot.parts import read_part
from dataset.chunks import Chunk
from dataset.documents import check_name
from dataset.progress import Progress, ignore_progress
from utils.errors import DocumentError, SnapshotError


def read_parts(
    snapshot: Snapshot, role: Role, skip: int = 0
) -> Iterator[tuple[SnapshotPart, Iterator[Record]]]:
    """The parts of a collection with their rows, which are downloaded when they are asked for.

    Args:
        snapshot: Where they lie.
        role: The collection.
        skip: How many rows the caller has: a part that holds no others is given without any.
    """
    passed = 0
    for part in snapshot.manifest.parts_of(role):
        passed += part.rows
        yield part, _rows_of(snapshot, part) if passed > skip else iter(())


def verify(snapshot: Snapshot, progress: Progress = ignore_progress) -> None:
    """Read all of a snapshot and write nothing.

    Raises:
        SnapshotError: it cannot be had, or is not what its manifest says.
    """
    done = 0
    for role in snapshot.manifest.collections:
        for part, found in read_parts(snapshot, role):
            for _ in found:
                pass
            done += part.bytes
            progress(done, snapshot.manifest.bytes)


def _rows_of(snapshot: Snapshot, part: SnapshotPart) -> Iterator[Record]:
    """The rows of a part.

    Raises:
        SnapshotError: it cannot be had, or is not what the manifest says.
    """
    content = snapshot.storage.read(part.name, part.bytes)
    if content is None:
        raise SnapshotError(
            f"{snapshot.url}/{part.name} is missing. Push again, or pull another snapshot."
        )
    dimension = snapshot.manifest.collections[part.collection].dimension
    try:
        for record in read_part(part, content, dimension):
            _check(part.collection, record)
            yield record
    except SnapshotError as error:
        raise SnapshotError(f"{snapshot.url}: {error}") from error


def _check(role: Role, record: Record) -> None:
    """Hold a row against what its readers take for granted."""
    try:
        if role == "index":
            _check_chunk(rows.to_chunk(record.id, record.text, record.metadata or {}))
        elif role == "uploads":
            upload_rows.check_upload_row(record)
    except (KeyError, TypeError, ValueError, DocumentError) as error:
        raise SnapshotError(
            f"A row is no row of {role} that this software reads. Use the software that it was "
            "made with."
        ) from error


def _check_chunk(chunk: Chunk) -> None:
    check_name(chunk.document)
    for field in fields(chunk):
        value = getattr(chunk, field.name)
        if type(value) is not (get_origin(field.type) or field.type):
            raise TypeError(field.name)
    if not all(isinstance(heading, str) for heading in chunk.headings):
        raise TypeError("headings")
