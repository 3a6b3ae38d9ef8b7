"""Downloads the rows of a snapshot part by part, and checks each row."""

from collections import deque
from collections.abc import Iterator
from dataclasses import fields
from typing import get_origin

from database.index import rows
from database.index.rows import Record
from database.snapshot import upload_rows
from database.snapshot.catalogue import Snapshot
from database.snapshot.manifest import CollectionRole, SnapshotPart
from database.snapshot.parts import read_part
from dataset.chunks import Chunk
from dataset.documents import check_name
from dataset.progress import Progress, ignore_progress
from utils.errors import DocumentError, SnapshotError


def read_parts(
    snapshot: Snapshot, role: CollectionRole, skip: int = 0
) -> Iterator[tuple[SnapshotPart, Iterator[Record]]]:
    """The parts of a collection with their rows, downloaded on iteration.

    Parts entirely within the first `skip` rows are yielded without rows.
    """
    passed = 0
    for part in snapshot.manifest.parts_of(role):
        passed += part.rows
        yield part, _rows_of(snapshot, part) if passed > skip else iter(())


def verify(snapshot: Snapshot, progress: Progress = ignore_progress) -> None:
    """Download and check all of a snapshot.

    Raises:
        SnapshotError: it cannot be downloaded, or differs from its manifest.
    """
    done = 0
    for role in snapshot.manifest.collections:
        for part, found in read_parts(snapshot, role):
            deque(found, maxlen=0)
            done += part.bytes
            progress(done, snapshot.manifest.bytes)


def _rows_of(snapshot: Snapshot, part: SnapshotPart) -> Iterator[Record]:
    """The rows of a part; raises SnapshotError if it is missing or differs from the manifest."""
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


def _check(role: CollectionRole, record: Record) -> None:
    """Check that a row has the fields that its readers need."""
    try:
        if role == "index":
            _check_chunk(rows.to_chunk(record.id, record.text, record.metadata or {}))
        elif role == "uploads":
            upload_rows.check_upload_row(record)
    except (KeyError, TypeError, ValueError, DocumentError) as error:
        raise SnapshotError(
            f"A row of {role} cannot be read by this version. Use the version that made the "
            "snapshot."
        ) from error


def _check_chunk(chunk: Chunk) -> None:
    check_name(chunk.document)
    for field in fields(chunk):
        value = getattr(chunk, field.name)
        if type(value) is not (get_origin(field.type) or field.type):
            raise TypeError(field.name)
    if not all(isinstance(heading, str) for heading in chunk.headings):
        raise TypeError("headings")
