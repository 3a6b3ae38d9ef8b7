"""Pushes a snapshot: one state of the index, read, packed and sent; the manifest last."""

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
    """A snapshot that lies where it was to lie."""

    url: str
    """Its own address."""
    sha256: str
    """Of its manifest: who pulls may demand it."""
    manifest: Manifest
    sent: int
    """Bytes sent now; what an earlier push had sent is not among them."""


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
    """Push a snapshot of the live index, unless that state of it lies there already.

    Interrupted and run again, it sends only what is missing.

    Args:
        store: Where the index lies.
        url: The folder of snapshots.
        work: Where the parts are packed; the system's temporary folder unless told.
        part_bytes: How large parts get, before compression.
        timeouts: How long the object store may take.
        reading: Told how many rows were read.
        sending: Told how many bytes were sent.

    Raises:
        SnapshotError: it cannot be written there, or the index does not stand still.
        IndexUnavailableError: there is no index to read.
    """
    storage = Storage(url, timeouts)
    if storage.is_read_only:
        raise SnapshotError(
            f"{storage.url} can only be read from. Push to a folder, s3:// or gs://."
        )
    if already := _already_there(storage, read_state_identity(store), timeouts):
        return already
    try:
        with tempfile.TemporaryDirectory(dir=work, prefix="snapshot-") as folder:
            exported = export_index(store, Path(folder), reading, part_bytes)
            return _send(storage, exported, Path(folder), sending, timeouts)
    except OSError as error:
        raise SnapshotError(
            f"The snapshot cannot be packed: {error.strerror}. Name a folder with --work."
        ) from error


def _already_there(
    storage: Storage, state: StateIdentity, timeouts: StorageTimeouts | None
) -> PushResult | None:
    """The snapshot of this very state, where it was pushed before."""
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
    now = datetime.now(UTC)
    begun = _of_state(snapshot_names(storage), exported.state)
    name = begun[0] if begun else f"{now:%Y%m%dT%H%M%SZ}{_ending(exported.state)}"
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
    listing = target.listing()
    there = listing.files if listing else {}
    done = sent = 0
    for part in manifest.parts:
        # A part's name follows from its content, and a file is there whole or not at all.
        if there.get(part.name) != part.bytes:
            target.write(part.name, (folder / part.name).read_bytes())
            sent += part.bytes
        done += part.bytes
        progress(done, manifest.bytes)
    content = manifest.to_json()
    target.write(MANIFEST, content)
    write_snapshot_names(storage, name)
    return PushResult(target.url, hashlib.sha256(content).hexdigest(), manifest, sent)
