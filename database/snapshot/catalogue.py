"""Finds the snapshots at an address, newest first, and reads their manifests."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson
from obstore.exceptions import PermissionDeniedError

from database.snapshot.manifest import MANIFEST, MAX_BYTES, Manifest, is_sha256, is_snapshot_name
from database.snapshot.storage import Storage
from utils.errors import SnapshotError

NAMES = "snapshots.json"
_MAX_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of which only the manifest was read."""

    storage: Storage
    """Its own folder."""
    manifest: Manifest
    sha256: str
    """Of its manifest file."""
    is_pinned: bool = False
    """True if this hash was required."""

    @property
    def url(self) -> str:
        """Its own address."""
        return self.storage.url


def snapshot_names(storage: Storage) -> list[str]:
    """The names of the snapshots in a folder, newest first, unfinished ones included.

    Raises:
        SnapshotError: the store does not answer.
    """
    listing = storage.listing()
    found = listing.folders if listing else _listed_names(storage)
    return sorted(filter(is_snapshot_name, found), reverse=True)


def _listed_names(storage: Storage) -> list[str]:
    """The names in the file that `write_snapshot_names` wrote."""
    content = storage.read(NAMES, MAX_BYTES)
    if content is None:
        return []
    try:
        found = orjson.loads(content)["snapshots"][:_MAX_NAMES]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SnapshotError(f"{NAMES} is not a list of snapshots.") from error
    return [name for name in found if isinstance(name, str)]


def write_snapshot_names(storage: Storage, new: str) -> None:
    """Write the list of snapshots, for stores that cannot be listed.

    Raises:
        SnapshotError: the store refuses the file.
    """
    names = sorted({*snapshot_names(storage), new}, reverse=True)
    storage.write(NAMES, orjson.dumps({"snapshots": names}, option=orjson.OPT_INDENT_2))


def iter_snapshots(storage: Storage) -> Iterator[Snapshot]:
    """The snapshots at an address, newest first: those in a folder, or a single one.

    Raises:
        SnapshotError: the store does not answer, or one of them cannot be trusted.
    """
    try:
        itself = read_snapshot(storage)
    except SnapshotError as error:
        if not isinstance(error.__cause__, PermissionDeniedError):
            raise
        itself = None  # S3's answer for a missing object if listing is not permitted
    if itself is not None:
        yield itself
        return
    for name in snapshot_names(storage):
        found = read_snapshot(storage.folder(name))
        if found is not None:  # an unfinished one has no manifest
            yield found


def find_snapshot(storage: Storage, sha256: str | None = None) -> Snapshot:
    """The newest snapshot in a folder, or a single one; `sha256` is required of its manifest.

    Raises:
        SnapshotError: there is none, the store does not answer, or the hash differs.
    """
    if sha256 is not None and not is_sha256(sha256.lower()):
        raise SnapshotError("A SHA-256 has 64 hexadecimal digits. Give the one that push printed.")
    found = next(iter_snapshots(storage), None)
    if found is None:
        raise SnapshotError(f"No snapshot at {storage.url}. Push one there, or check the address.")
    if sha256 is not None and sha256.lower() != found.sha256:
        raise SnapshotError(
            f"The manifest of {found.url} has the SHA-256 {found.sha256}, and another was "
            "demanded. Name the snapshot's own folder if a newer one was pushed."
        )
    return replace(found, is_pinned=sha256 is not None)


def read_snapshot(storage: Storage) -> Snapshot | None:
    """The snapshot in its own folder; None if it has no manifest.

    Raises:
        SnapshotError: the store does not answer, or the manifest cannot be trusted.
    """
    content = storage.read(MANIFEST, MAX_BYTES)
    if content is None:
        return None
    try:
        manifest = Manifest.from_json(content)
    except SnapshotError as error:
        raise SnapshotError(f"{storage.url}: {error}") from error
    return Snapshot(storage, manifest, hashlib.sha256(content).hexdigest())
