"""File systems for snapshots: a local folder, and folders of object stores and web servers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import obstore.store
from obstore import Bytes

from database.index.disk_space import check_space, space_error

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StorageTimeouts:
    """Limits of an object store's requests, in seconds, and the number of retries."""

    connect: float = 5.0
    read: float = 30.0
    """Until a stream without data is aborted."""
    request: float = 600.0
    """For one whole request, of up to 32 MiB."""
    retries: int = 4
    retrying: float = 120.0
    """For all retries of a request."""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The entries of a folder."""

    files: dict[str, int]
    """Name to size in bytes."""
    folders: list[str]


class RemoteFolder:
    """A folder of an object store or a web server."""

    def __init__(self, bucket: str, path: str, timeouts: StorageTimeouts) -> None:
        self._bucket, self._path, self._timeouts = bucket, path, timeouts

    @cached_property
    def _store(self) -> "obstore.store.ObjectStore":
        """The client of the bucket or host; finds the credentials in their usual places."""
        timeouts = self._timeouts
        return obstore.store.from_url(
            self._bucket,
            client_options={
                # Self-hosted S3 often has no TLS; an https:// address never falls back to http.
                "allow_http": not self._bucket.startswith("https://"),
                "connect_timeout": timedelta(seconds=timeouts.connect),
                "read_timeout": timedelta(seconds=timeouts.read),
                "timeout": timedelta(seconds=timeouts.request),
            },
            retry_config={
                "max_retries": timeouts.retries,
                "retry_timeout": timedelta(seconds=timeouts.retrying),
            },
        )

    def listing(self) -> FolderListing:
        """The entries of the folder."""
        found = self._store.list_with_delimiter(self._path)
        return FolderListing(
            files={_name(entry["path"]): entry["size"] for entry in found["objects"]},
            folders=sorted(map(_name, found["common_prefixes"])),
        )

    def stream(self, name: str) -> Iterable[bytes | Bytes]:
        """Stream the content of an object."""
        return self._store.get(f"{self._path}/{name}").stream(min_chunk_size=_CHUNK_BYTES)

    def write(self, name: str, content: bytes) -> None:
        """Write an object in one request: several could leave fragments when interrupted."""
        self._store.put(f"{self._path}/{name}", content, use_multipart=False)


class LocalFolder:
    """A local folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def listing(self) -> FolderListing:
        """The entries of the folder."""
        entries = [*self._path.iterdir()]
        return FolderListing(
            files={entry.name: entry.stat().st_size for entry in entries if entry.is_file()},
            folders=sorted(entry.name for entry in entries if entry.is_dir()),
        )

    def stream(self, name: str) -> Iterator[bytes]:
        """Stream the content of a file."""
        with (self._path / name).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def write(self, name: str, content: bytes) -> None:
        """Write a temporary file and rename it.

        Raises:
            DiskFullError: the disk has no room for it.
        """
        check_space(self._path, len(content))
        partial = self._path / f"{name}.partial"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(self._path / name)
        except OSError as error:
            if full := space_error(self._path, error):
                raise full from error
            raise


def _name(path: str) -> str:
    return path.rpartition("/")[2]
