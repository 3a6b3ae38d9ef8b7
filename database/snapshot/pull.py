"""Pulls a snapshot into a new collection beside the live one, checks it, and goes live."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from database.index import rows, word_vectors
from database.index.checks.collection_check import check_new_collection, is_readable
from database.index.fingerprint import Fingerprint
from database.index.go_live import go_live
from database.index.lock import BuildLock
from database.index.rows import Record
from database.index.store import NEVER_SYNC, Store
from database.journal import staging
from database.journal.purge import has_unfinished_purge
from database.journal.recovery import finish_purge_in_other_process, recover_in_other_process
from database.journal.uploads import UPLOADS
from database.snapshot.catalogue import Snapshot
from database.snapshot.contents import read_parts
from database.snapshot.manifest import CollectionRole, Manifest
from database.snapshot.model_check import verify_model
from dataset.progress import Progress, ignore_progress
from utils.errors import IndexDamagedError, IndexMissingError, SnapshotError
from utils.settings import Settings

if TYPE_CHECKING:
    from chromadb import Collection

_BATCH_BYTES = 16 << 20
"""Size of the rows of a request; a server refuses bodies over 40 MiB."""
_BATCH_ROWS = 2000
"""Rows per request; with 250, as elsewhere, Chroma takes 1.5 times as long."""
_AS_JSON = 6
"""Size of a vector in a request's JSON, relative to memory."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """The result of a pull."""

    index: str
    """The live collection's name."""
    changed: bool
    """False if the snapshot was live already."""


def pull(
    store: Store,
    snapshot: Snapshot,
    *,
    settings: Settings | None,
    progress: Progress = ignore_progress,
) -> PullResult:
    """Make a snapshot's index the live one; the previous one is kept for rollback.

    Interrupted and run again, it resumes. The settings name this machine's model, which must be the
    index's; None accepts any. `progress` is called with the number of bytes read.

    Raises:
        SnapshotError: it cannot be downloaded or trusted; the live index stays live.
        ModelError, IndexMismatchError: see `verify_model`; nothing was downloaded.
        IndexLockedError: a build or another pull is running.
        IndexUnavailableError: the store cannot be read or written.
    """
    if snapshot.storage.is_insecure and not snapshot.is_pinned:
        raise SnapshotError(
            f"{snapshot.url} may be changed on its way. Pull over https://, or demand the "
            "manifest's hash with --sha256."
        )
    # Return if this snapshot is live; otherwise check the model.
    live = _same(store, snapshot.manifest)
    if live and not staging.has_staged_uploads(store, live) and not has_unfinished_purge(store):
        return PullResult(live, changed=False)
    if settings and not live:
        verify_model(snapshot.manifest.fingerprint, settings)
    with BuildLock(store) as lock:
        # Recover. Afterwards the snapshot may be live: by another pull, or a killed one.
        _recover(store)
        if live := _same(store, snapshot.manifest):
            return PullResult(live, changed=False)

        # Download the rows into new collections, check the index, and go live.
        before = store.live()
        target = _Target(store, snapshot, revision=before.revision + 1 if before else 1)
        for done in accumulate(target.download()):
            progress(done, snapshot.manifest.bytes)
        check_new_collection(store, target.index, snapshot.manifest.collections["index"].rows)
        target.go_live(lock)
    return PullResult(target.index, changed=True)


def _recover(store: Store) -> None:
    """Recover from a killed writer; a damaged live index is ignored."""
    finish_purge_in_other_process(store)
    staging.publish_staged_uploads(store)
    with suppress(IndexMissingError, IndexDamagedError):
        recover_in_other_process(store)


def _same(store: Store, manifest: Manifest) -> str | None:
    """The live collection's name if it has the content of the snapshot."""
    try:
        live, collection, _ = store.live_collection()
    except (IndexMissingError, IndexDamagedError):
        return None
    is_origin = str(collection.id) == manifest.origin and live.revision == manifest.revision
    was_pulled = live.name == _name(manifest, live.since)
    untouched = live.revision == live.since
    return live.name if is_origin or (was_pulled and untouched) else None


def _name(manifest: Manifest, revision: int) -> str:
    """The name of a pulled collection: unique, and the same when a pull is repeated."""
    digest = hashlib.sha256(f"{manifest.digest} {revision}".encode())
    return f"index-{digest.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class _Target:
    """The collections that a pull writes; the caller holds the lock."""

    store: Store
    snapshot: Snapshot
    revision: int
    """The revision at which the index goes live."""

    @property
    def index(self) -> str:
        """The name of the new index."""
        return _name(self.snapshot.manifest, self.revision)

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the new index, whose rows are stored as by a build."""
        return replace(self.snapshot.manifest.fingerprint, changed_at="", digests="")

    def download(self) -> Iterator[int]:
        """Write the rows that are missing: those of the index, its words, and the uploads.

        Yields the size of each part in bytes once its rows are written.
        """
        manifest = self.snapshot.manifest
        rows_in_all = manifest.collections["index"].rows
        index = self._open(self.index, self.fingerprint.to_metadata(), rows_in_all)
        yield from self._fill("index", index)
        if "words" in manifest.collections:
            words = self._open(
                word_vectors.word_collection_name(self.index), {"whole": False}, NEVER_SYNC
            )
            yield from self._fill("words", words)
            word_vectors.complete(self.store, words)
        if "uploads" in manifest.collections or self.store.find(UPLOADS):
            documents = (row for _, found in read_parts(self.snapshot, "uploads") for row in found)
            staging.stage_uploads(self.store, self.index, documents, self.revision)

    def _open(self, name: str, metadata: dict[str, Any], rows_in_all: int) -> "Collection":
        """The collection that an interrupted pull left, if it is readable, or a new one."""
        found = self.store.find(name)
        if found is not None and not is_readable(self.store, name):
            self.store.delete(name)
            found = None
        return found or self.store.create(name, metadata, rows_in_all)

    def _fill(self, role: CollectionRole, collection: "Collection") -> Iterator[int]:
        """Add the missing rows. None may be added twice: Chroma would write to disk too early."""
        with self.store.translate_errors():
            existing = collection.count()
            for part, records in read_parts(self.snapshot, role, skip=existing):
                for batch in _batches(records):
                    new = {record.id: record for record in batch}  # Chroma refuses duplicate ids
                    if existing:
                        missing = rows.missing(collection, [*new])
                        new = {id_: new[id_] for id_ in new if id_ in missing}
                    if new:
                        rows.add_records(collection, [*new.values()])
                yield part.bytes
            found, expected = collection.count(), self.snapshot.manifest.collections[role].rows
        if found != expected:
            self.store.delete(collection.name)
            raise SnapshotError(
                f"{self.snapshot.url} contains {found:,} distinct rows of {role} instead of "
                f"{expected:,}. It did not go live."
            )

    def go_live(self, lock: BuildLock) -> None:
        """Move the pointer, then publish the uploads, which only builds and changes read."""
        collection = self.store.find(self.index)
        if collection is None:
            raise SnapshotError("The new index was deleted. Run the pull again.")
        go_live(self.store, lock, collection, self.fingerprint)
        staging.publish_staged_uploads(self.store)


def _batches(found: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in found:
        batch.append(record)
        size += len(record.text) + record.vector.nbytes * _AS_JSON
        if len(batch) == _BATCH_ROWS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
