"""Pushes a snapshot: exports one state of the index and uploads it, the manifest last."""

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from database.index.store import Store
from database.snapshot.catalogue import snapshot_names, write_snapshot_names
from database.snapshot.export import Export, StateIdentity, export_index, read_state_identity
from database.snapshot.file_systems import StorageTimeouts
from database.snapshot.manifest import MANIFEST, MAX_BYTES, Manifest
from database.snapshot.parts import PART_BYTES
from database.snapshot.storage import Storage
from dataset.progress import Progress, ignore_progress
from utils.errors import SnapshotError

SOFTWARE = "sagemaker-docs-qa 1"


@dataclass(frozen=True, slots=True)
class PushResult:
    """A pushed snapshot."""

    url: str
    """Its address."""
    sha256: str
    """Of its manifest; a pull may require it."""
    manifest: Manifest
    sent: int
    """Bytes sent by this push; an interrupted one may have sent the others."""


def push(
    store: Store,
    url: str,
    *,
    work: Path | None = None,
    part_bytes: int = PART_BYTES,
    timeouts: StorageTimeouts | None = None,
    reading: Progress = ignore_progress,
    sending: Progress = ignore_progress,
) -> PushResult:
    """Push a snapshot of the live index, unless the address has one of the same state.

    Interrupted and run again, it sends only the missing parts.

    Args:
        store: The store to read.
        url: The folder of snapshots.
        work: Folder for the part files; the system's temporary folder by default.
        part_bytes: Size of a part before compression.
        timeouts: Limits of the object store's requests.
        reading: Called with the number of rows read.
        sending: Called with the number of bytes sent.

    Raises:
        SnapshotError: the snapshot cannot be written, or the index keeps changing.
        IndexUnavailableError: there is no readable index.
    """
    # Look for a snapshot of the same state.
    storage = Storage(url, timeouts)
    if storage.is_read_only:
        raise SnapshotError(
            f"{storage.url} can only be read from. Push to a folder, s3:// or gs://."
        )
    if already := _already_there(storage, read_state_identity(store), timeouts):
        return already
    # Export the index to part files, then send them.
    try:
        with tempfile.TemporaryDirectory(dir=work, prefix="snapshot-") as folder:
            exported = export_index(store, Path(folder), reading, part_bytes)
            return _send(storage, exported, Path(folder), sending, timeouts)
    except OSError as error:
        raise SnapshotError(
            f"The snapshot's parts cannot be written: {error.strerror}. Name a folder with --work."
        ) from error


def _already_there(
    storage: Storage, state: StateIdentity, timeouts: StorageTimeouts | None
) -> PushResult | None:
    """The snapshot of this state, if it was pushed before."""
    for name in _of_state(snapshot_names(storage), state):
        folder = Storage(f"{storage.url}/{name}", timeouts)
        content = folder.read(MANIFEST, MAX_BYTES)
        if content is not None:
            sha256 = hashlib.sha256(content).hexdigest()
            return PushResult(folder.url, sha256, Manifest.from_json(content), sent=0)
    return None


def _of_state(folders: Iterable[str], state: StateIdentity) -> list[str]:
    return [name for name in folders if name.endswith(_ending(state))]


def _ending(state: StateIdentity) -> str:
    return f"-{state.digest[:12]}"


def _send(
    storage: Storage,
    exported: Export,
    folder: Path,
    progress: Progress,
    timeouts: StorageTimeouts | None,
) -> PushResult:
    # Resume an interrupted push of the same state, or start a new folder.
    now = datetime.now(UTC)
    started = _of_state(snapshot_names(storage), exported.state)
    name = started[0] if started else f"{now:%Y%m%dT%H%M%SZ}{_ending(exported.state)}"
    target = Storage(f"{storage.url}/{name}", timeouts)
    manifest = Manifest(
        created_at=now.isoformat(timespec="seconds"),
        software=SOFTWARE,
        origin=exported.state.origin,
        revision=exported.state.live.revision,
        fingerprint=exported.state.fingerprint,
        collections=exported.collections,
        parts=exported.parts,
    ).sealed()
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
    # Send the manifest last: it completes the snapshot.
    content = manifest.to_json()
    target.write(MANIFEST, content)
    write_snapshot_names(storage, name)
    return PushResult(target.url, hashlib.sha256(content).hexdigest(), manifest, sent)
