"""Pushes a snapshot: exports one state of the index and uploads it, the manifest last."""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from database.index.disk_space import space_error
from database.index.store import Store
from database.snapshot.catalogue import (
    Snapshot,
    read_snapshot,
    snapshot_names,
    write_snapshot_names,
)
from database.snapshot.export import StateIdentity, export_index, read_state_identity
from database.snapshot.manifest import MANIFEST, Manifest
from database.snapshot.parts import PART_BYTES
from database.snapshot.storage import Storage
from dataset.progress import Progress, ignore_progress
from utils.errors import SnapshotError


@dataclass(frozen=True, slots=True)
class PushResult(Snapshot):
    """A pushed snapshot."""

    sent: int = 0
    """Bytes sent by this push; an interrupted one may have sent the others."""


def push(
    store: Store,
    storage: Storage,
    *,
    work: Path | None = None,
    part_bytes: int = PART_BYTES,
    reading: Progress = ignore_progress,
    sending: Progress = ignore_progress,
) -> PushResult:
    """Push a snapshot of the live index, unless the address has one of the same state.

    Interrupted and run again, it sends only the missing parts.

    The part files are written to `work`, by default the system's temporary folder. `reading` is
    called with the number of rows read, `sending` with the number of bytes sent.

    Raises:
        SnapshotError: the snapshot cannot be written, or the index keeps changing.
        IndexUnavailableError: there is no readable index.
        DiskFullError: the disk has no room for the parts, or for the snapshot.
    """
    # Look for a snapshot of the same state.
    if storage.is_read_only:
        raise SnapshotError(
            f"{storage.url} can only be read from. Push to a folder, s3:// or gs://."
        )
    if already := _already_there(storage, read_state_identity(store)):
        return already
    # Export the index to part files, then send them.
    try:
        with tempfile.TemporaryDirectory(dir=work, prefix="snapshot-") as folder:
            state, manifest = export_index(store, Path(folder), reading, part_bytes)
            return _send(storage, state, manifest, Path(folder), sending)
    except OSError as error:
        reason = (
            f"The snapshot's parts cannot be written: {error.strerror}. Name a folder with --work."
        )
        full = space_error(work or tempfile.gettempdir(), error)
        raise full or SnapshotError(reason) from error


def _already_there(storage: Storage, state: StateIdentity) -> PushResult | None:
    """The snapshot of this state, if it was pushed before."""
    for name in _names_of(storage, state):
        if found := read_snapshot(storage.folder(name)):
            return PushResult(found.storage, found.manifest, found.sha256)
    return None


def _names_of(storage: Storage, state: StateIdentity) -> list[str]:
    """The snapshots of a state, unfinished ones included."""
    return [name for name in snapshot_names(storage) if name.endswith(state.digest)]


def _send(
    storage: Storage, state: StateIdentity, manifest: Manifest, folder: Path, progress: Progress
) -> PushResult:
    # Resume an interrupted push of the same state, or start a new folder.
    started = _names_of(storage, state)
    name = started[0] if started else f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{state.digest}"
    target = storage.folder(name)
    # Send the missing parts. A part's name contains its hash, and files are written atomically.
    listing = target.listing()
    existing = listing.files if listing else {}
    done = sent = 0
    for part in manifest.parts:
        if existing.get(part.name) != part.bytes:
            target.write(part.name, (folder / part.name).read_bytes())
            sent += part.bytes
        done += part.bytes
        progress(done, manifest.bytes)
    # Send the manifest last, once it passes the checks of a pull: it completes the snapshot.
    content = manifest.to_json()
    checked = Manifest.from_json(content)
    target.write(MANIFEST, content)
    write_snapshot_names(storage, name)
    return PushResult(target, checked, hashlib.sha256(content).hexdigest(), sent=sent)
