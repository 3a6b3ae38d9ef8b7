"""Finds the snapshots at an address, newest first, and reads their manifests."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson
from obstore.exceptions import PermissionDeniedError

from database.snapshot.file_systems import StorageTimeouts
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
    if listing is not None:
        found = [name for name in listing.folders if is_snapshot_name(name)]
    else:
        content = storage.read(NAMES, MAX_BYTES)
        found = _parse_names(content) if content is not None else []
    return sorted(found, reverse=True)


def _parse_names(content: bytes) -> list[str]:
    try:
        found = orjson.loads(content)["snapshots"][:_MAX_NAMES]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise SnapshotError(f"{NAMES} is not a list of snapshots.") from error
    return [name for name in found if isinstance(name, str) and is_snapshot_name(name)]


def write_snapshot_names(storage: Storage, new: str) -> None:
    """Write the list of snapshots, for stores that cannot be listed.

    Raises:
        SnapshotError: the store refuses the file.
    """
    iter_snapshots = sorted({*snapshot_names(storage), new}, reverse=True)
    storage.write(NAMES, orjson.dumps({"snapshots": iter_snapshots}, option=orjson.OPT_INDENT_2))


def iter_snapshots(url: str, timeouts: StorageTimeouts | None = None) -> Iterator[Snapshot]:
    """The snapshots at an address, newest first: those in a folder, or a single one.

    Raises:
        SnapshotError: the store does not answer, or one of them cannot be trusted.
    """
    storage = Storage(url, timeouts)
    try:
        itself = _read(storage)
    except SnapshotError as error:
        if not isinstance(error.__cause__, PermissionDeniedError):
            raise
        itself = None  # S3's answer for a missing object if listing is not permitted
    if itself is not None:
        yield itself
        return
    for name in snapshot_names(storage):
        found = _read(Storage(f"{storage.url}/{name}", timeouts))
        if found is not None:  # an unfinished one has no manifest
            yield found


def find_snapshot(
    url: str, sha256: str | None = None, timeouts: StorageTimeouts | None = None
) -> Snapshot:
    """The newest snapshot at an address.

    Args:
        url: A folder of snapshots, or a single one.
        sha256: The required hash of the manifest file.
        timeouts: Limits of the store's requests.

    Raises:
        SnapshotError: there is none, the store does not answer, or the hash differs.
    """
    if sha256 is not None and not is_sha256(sha256.lower()):
        raise SnapshotError("A SHA-256 has 64 hexadecimal digits. Give the one that push printed.")
    found = next(iter_snapshots(url, timeouts), None)
    if found is None:
        raise SnapshotError(
            f"No snapshot at {Storage(url).url}. Push one there, or check the address."
        )
    if sha256 is not None and sha256.lower() != found.sha256:
        raise SnapshotError(
            f"The manifest of {found.url} has the SHA-256 {found.sha256}, and another was "
            "demanded. Name the snapshot's own folder if a newer one was pushed."
        )
    return replace(found, is_pinned=sha256 is not None)


def _read(storage: Storage) -> Snapshot | None:
    content = storage.read(MANIFEST, MAX_BYTES)
    if content is None:
        return None
    try:
        manifest = Manifest.from_json(content)
    except SnapshotError as error:
        raise SnapshotError(f"{storage.url}: {error}") from error
    return Snapshot(storage, manifest, hashlib.sha256(content).hexdigest())
