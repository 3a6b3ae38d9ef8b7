"""Pulls a snapshot: a new collection beside the live one, checked, and live in one step."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from database.index import rows, word_vectors
from database.index.check import check_collection
from database.index.fingerprint import Fingerprint
from database.index.go_live import go_live
from database.index.hnsw import NEVER_SYNC
from database.index.lock import BuildLock
from database.index.rows import Record
from database.index.store import Store
from database.journal import staging
from database.journal.purge import has_unfinished_purge
from database.journal.recovery import finish_purge_in_other_process, recover_in_other_process
from database.journal.uploads import UPLOADS
from database.snapshot.catalogue import Snapshot
from database.snapshot.contents import read_parts
from database.snapshot.manifest import Manifest, Role
from dataset.progress import Progress, ignore_progress
from utils.errors import IndexDamagedError, IndexMissingError, SnapshotError

if TYPE_CHECKING:
    from chromadb import Collection

_BATCH_BYTES = 16 << 20
"""Of rows in one request; a server refuses bodies over 40 MiB."""
_BATCH_ROWS = 2000
"""In one request: with 250 as elsewhere, Chroma spends half as much time again."""
_AS_JSON = 6
"""How much longer a vector is in a request's JSON than in memory."""

CheckModel = Callable[[Fingerprint], None]
"""Raises a DocsQAError where this machine could not ask questions of such an index."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """What became of a pull."""

    index: str
    """The live collection's name."""
    changed: bool
    """Whether another index is live now."""


def pull(
    store: Store,
    snapshot: Snapshot,
    *,
    check_model: CheckModel,
    progress: Progress = ignore_progress,
) -> PullResult:
    """Make the index of a snapshot the live one; the one before stays for rollback.

    Interrupted and run again, it goes on where it was.

    Args:
        store: Where the index is to lie.
        snapshot: What is pulled.
        check_model: Holds the index against this machine's model before anything is downloaded.
        progress: Told how many bytes were read.

    Raises:
        SnapshotError: it cannot be had or trusted; the index that was live still is.
        IndexLockedError: a build or another pull is running.
        IndexUnavailableError: the store cannot be read or written.
    """
    if snapshot.storage.is_open_to_forgery and not snapshot.is_pinned:
        raise SnapshotError(
            f"{snapshot.url} may be changed on its way. Pull over https://, or demand the "
            "manifest's hash with --sha256."
        )
    live = _same(store, snapshot.manifest)
    if live and not staging.has_staged_uploads(store, live) and not has_unfinished_purge(store):
        return PullResult(live, changed=False)
    if not live:
        check_model(snapshot.manifest.fingerprint)
    with BuildLock(store) as lock:
        _recover(store)
        # Another pull was faster, or one died just before its last step.
        if live := _same(store, snapshot.manifest):
            return PullResult(live, changed=False)
        target = _Target.at(store, snapshot)
        target.fill(progress)
        target.check()
        target.go_live(lock)
    return PullResult(target.index, changed=True)


def _recover(store: Store) -> None:
    """Finish what a writer that died had begun; a live index that is damaged stays as it is."""
    finish_purge_in_other_process(store)
    staging.publish_staged_uploads(store)
    with suppress(IndexMissingError, IndexDamagedError):
        recover_in_other_process(store)


def _same(store: Store, manifest: Manifest) -> str | None:
    """The live collection's name where it is what the snapshot holds."""
    try:
        live, collection, _ = store.live_collection()
    except (IndexMissingError, IndexDamagedError):
        return None
    is_origin = str(collection.id) == manifest.origin and live.revision == manifest.revision
    was_pulled = live.name == _name(manifest, live.since)
    untouched = live.revision == live.since
    return live.name if is_origin or (was_pulled and untouched) else None


def _name(manifest: Manifest, revision: int) -> str:
    """A pulled collection's name: an interrupted pull finds its own again, and no other is met."""
    goal = hashlib.sha256(f"{manifest.digest} {revision}".encode())
    return f"index-{goal.hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class _Target:
    """The collection that is being filled; the lock is held."""

    store: Store
    snapshot: Snapshot
    index: str
    revision: int
    """The revision with which it goes live."""

    @classmethod
    def at(cls, store: Store, snapshot: Snapshot) -> "_Target":
        """The one to go live next."""
        live = store.live()
        revision = live.revision + 1 if live else 1
        return cls(store, snapshot, _name(snapshot.manifest, revision), revision)

    @property
    def fingerprint(self) -> Fingerprint:
        """What the new collection says of itself: it holds its rows as if a build had made it."""
        return replace(self.snapshot.manifest.fingerprint, changed_at="")

    def fill(self, progress: Progress) -> None:
        """Write what is missing of it."""
        manifest = self.snapshot.manifest
        done = 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            progress(done, manifest.bytes)

        held = manifest.collections["index"].rows
        index = self._open(self.index, self.fingerprint.to_metadata(), held)
        self._fill("index", index, told)
        if "words" in manifest.collections:
            name = word_vectors.word_collection_name(self.index)
            words = self._open(name, {"whole": False}, NEVER_SYNC)
            self._fill("words", words, told)
            with self.store.translate_errors():
                words.modify(metadata={"whole": True})
        if "uploads" in manifest.collections or self.store.find(UPLOADS):
            documents = (row for _, found in read_parts(self.snapshot, "uploads") for row in found)
            staging.stage_uploads(self.store, self.index, documents, self.revision)

    def _open(self, name: str, metadata: dict[str, Any], sync: int) -> "Collection":
        """The collection that an interrupted pull left, if it can be read, or a fresh one."""
        found = self.store.find(name)
        if found is not None:
            try:
                check_collection(self.store, name)
            except IndexDamagedError:
                self.store.delete(name)
                found = None
        return found or self.store.create(name, metadata, sync)

    def _fill(self, role: Role, collection: "Collection", told: Callable[[int], None]) -> None:
        """Add the rows that are missing. None is added twice: see `Store.create`."""
        with self.store.translate_errors():
            there = collection.count()
            for part, records in read_parts(self.snapshot, role, skip=there):
                for batch in _batches(records):
                    new = {record.id: record for record in batch}  # Chroma takes none twice
                    if there:
                        missing = rows.missing(collection, [*new])
                        new = {id_: new[id_] for id_ in new if id_ in missing}
                    if new:
                        _add(collection, [*new.values()])
                told(part.bytes)
            found, wanted = collection.count(), self.snapshot.manifest.collections[role].rows
        if found != wanted:
            self.store.delete(collection.name)
            raise SnapshotError(
                f"{self.snapshot.url} gave {found:,} different rows and should give {wanted:,}. "
                "It did not go live."
            )

    def check(self) -> None:
        """Hold the finished collection against what it should be.

        Raises:
            IndexDamagedError: it is not that; it was deleted and never went live.
        """
        try:
            check_collection(self.store, self.index)
        except IndexDamagedError:
            self.store.delete(self.index)
            raise

    def go_live(self, lock: BuildLock) -> None:
        """Move the pointer; then the documents of the API, which only builds and changes read."""
        collection = self.store.find(self.index)
        if collection is None:
            raise SnapshotError("The new index is gone. Run the pull again.")
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


def _add(collection: "Collection", batch: list[Record]) -> None:
    vectors: Any = [record.vector for record in batch]
    described: Any = [record.metadata for record in batch]
    collection.add(
        ids=[record.id for record in batch],
        embeddings=vectors,
        documents=[record.text for record in batch],
        metadatas=None if None in described else described,
    )
