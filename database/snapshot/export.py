"""Exports one consistent state of an index while the service may change it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from database.index import rows, word_vectors
from database.index.fingerprint import Fingerprint
from database.index.live_pointer import LivePointer
from database.index.rows import Record
from database.index.store import Store
from database.journal.uploads import UPLOADS, Uploads, is_current
from database.reading.verification import verify_stored
from database.snapshot import upload_rows
from database.snapshot.manifest import CollectionRole, CollectionShape, Manifest, SnapshotPart
from database.snapshot.parts import write_parts
from dataset.progress import Progress
from utils.errors import IndexDamagedError, SnapshotError
from utils.settings import is_server

if TYPE_CHECKING:
    from chromadb import Collection

SOFTWARE = "sagemaker-docs-qa 1"
_TRIES = 10
"""Attempts to read an index that changes while it is read."""


@dataclass(frozen=True, slots=True)
class StateIdentity:
    """Identifies a state of an index without reading its rows."""

    live: LivePointer
    fingerprint: Fingerprint
    origin: str
    """The live collection's id."""
    counts: tuple[tuple[str, str, int], ...]
    """Name, id and number of rows of the live collection, its words and the journal."""

    @property
    def digest(self) -> str:
        """Start of the state's SHA-256, 12 digits; unique across stores."""
        fields = (asdict(self.live), self.fingerprint.to_metadata(), self.origin, self.counts)
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def read_state_identity(store: Store) -> StateIdentity:
    """The identity of an index's current state.

    Raises:
        IndexUnavailableError: there is no readable index.
    """
    live, collection, fingerprint = store.live_collection()
    counts = []
    with store.translate_errors():
        for name in (live.name, word_vectors.word_collection_name(live.name), UPLOADS):
            found = store.find(name)
            if found is not None:
                counts.append((name, str(found.id), found.count()))
    return StateIdentity(live, fingerprint, str(collection.id), tuple(counts))


def export_index(
    store: Store,
    folder: Path,
    progress: Progress,
    part_bytes: int,
) -> tuple[StateIdentity, Manifest]:
    """Write the parts of an index to a folder, all of one state; return it and their manifest.

    Nothing is locked: if the state changes while it is read, the parts are deleted and read again.

    Raises:
        SnapshotError: the index changes faster than it can be read.
        IndexUnavailableError: it cannot be read.
    """
    from chromadb.errors import NotFoundError

    for _ in range(_TRIES):
        state = read_state_identity(store)
        try:
            with store.translate_errors():
                manifest = _export(store, state, folder, progress, part_bytes)
        except NotFoundError:  # the collection was replaced while it was read
            continue
        except IndexDamagedError as error:
            if is_server(store.database) or read_state_identity(store) == state:
                raise
            # This process sees a folder's vectors as they were when it opened the folder.
            raise SnapshotError(
                f"Documents in {store.database} were changed while it was read. Push again."
            ) from error
        if read_state_identity(store) == state:
            verify_stored(store)
            return state, manifest
        for part in manifest.parts:
            (folder / part.name).unlink()
    raise SnapshotError(
        f"The index at {store.database} changed {_TRIES} times while it was read. Push again when "
        "fewer documents are uploaded."
    )


def _export(
    store: Store, state: StateIdentity, folder: Path, progress: Progress, part_bytes: int
) -> Manifest:
    collections: dict[CollectionRole, CollectionShape] = {}
    parts: list[SnapshotPart] = []
    recipe = state.fingerprint.recipe
    words = store.find(word_vectors.word_collection_name(state.live.name))
    contents: list[tuple[CollectionRole, Iterable[Record]]] = [("index", _chunks(store))]
    if words is not None and word_vectors.read_word_vectors(store, state.live.name):
        contents.append(("words", _words(words)))
    if store.find(UPLOADS) is not None:
        contents.append(("uploads", upload_rows.read_upload_rows(store, state.live)))
    done = 0

    def counted(records: Iterable[Record]) -> Iterator[Record]:
        nonlocal done
        for record in records:
            done += 1
            if done % rows.PAGE == 0:
                progress(done, None)
            yield record

    for role, records in contents:
        written = [*write_parts(role, counted(records), folder, len(parts), part_bytes)]
        dimension = upload_rows.DIMENSION if role == "uploads" else recipe.dimension
        collections[role] = CollectionShape(sum(part.rows for part in written), dimension)
        parts += written
    return Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        software=SOFTWARE,
        origin=state.origin,
        revision=state.live.revision,
        fingerprint=state.fingerprint,
        collections=collections,
        parts=tuple(parts),
    )


def _chunks(store: Store) -> Iterator[Record]:
    """The visible chunks in the store's order, as a build would store them."""
    live, collection, _ = store.live_collection()
    shown = Uploads(store).visible(live, live.since)
    offset = 0
    while page := rows.read_page(collection, offset):
        offset += len(page)
        for row in sorted(page, key=lambda row: row.chunk.id):
            if is_current(row.chunk, live, shown):
                chunk = replace(row.chunk, revision=0)
                vector = np.asarray(row.vector, dtype=np.float32)
                yield Record(chunk.id, chunk.text, vector, rows.to_metadata(chunk))


def _words(collection: "Collection") -> Iterator[Record]:
    for page in rows.pages(collection, ["documents", "embeddings"]):
        found = zip(page["ids"], page["documents"], page["embeddings"], strict=True)
        for id_, text, vector in sorted(found, key=itemgetter(0)):
            yield Record(id_, text, np.asarray(vector, dtype=np.float32), None)
