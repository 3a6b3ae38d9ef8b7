"""File systems for snapshots: a local folder and object stores; paths have no scheme."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import fsspec  # type: ignore[import-untyped]
from obstore.fsspec import FsspecStore

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


class FileSystem(Protocol):
    """The operations that snapshots need."""

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        """The entries of a folder."""

    def stream(self, path: str) -> Iterable[bytes]:
        """Stream the content of a file."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file atomically."""


class ObjectStore(FsspecStore):
    """An object store; streams reads, and writes each object in one request."""

    cachable = False
    """Off, so that changed credentials of the environment take effect."""

    @classmethod
    def of(cls, protocol: str, timeouts: StorageTimeouts) -> "ObjectStore":
        """The file system of a protocol; obstore finds the credentials in their usual places."""
        options: dict[str, Any] = {
            "client_options": {
                # Self-hosted S3 often has no TLS; an https:// address never falls back to http.
                "allow_http": protocol != "https",
                "connect_timeout": timedelta(seconds=timeouts.connect),
                "read_timeout": timedelta(seconds=timeouts.read),
                "timeout": timedelta(seconds=timeouts.request),
            },
            "retry_config": {
                "max_retries": timeouts.retries,
                "retry_timeout": timedelta(seconds=timeouts.retrying),
            },
        }
        made: Any = cls
        store: ObjectStore = made(protocol, **options)
        return store

    def stream(self, path: str) -> Iterable[bytes]:
        """Stream the content of an object."""
        bucket, key = self._split_path(path)
        # fsspec's file objects send range requests, which simple web servers do not support.
        return self._construct_store(bucket).get(key).stream(min_chunk_size=_CHUNK_BYTES)

    def write(self, path: str, content: bytes) -> None:
        """Write an object in one request."""
        bucket, key = self._split_path(path)
        # fsspec would upload in several requests, and an interruption would leave fragments.
        self._construct_store(bucket).put(key, content, use_multipart=False)


class LocalFolder:
    """A local folder."""

    def __init__(self) -> None:
        self._files = fsspec.filesystem("file", auto_mkdir=True)

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        """The entries of a folder."""
        listed: list[dict[str, Any]] = self._files.ls(path, detail=detail)
        return listed

    def stream(self, path: str) -> Iterator[bytes]:
        """Stream the content of a file."""
        with self._files.open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def write(self, path: str, content: bytes) -> None:
        """Write a temporary file and rename it."""
        partial = f"{path}.partial"
        self._files.pipe_file(partial, content)
        self._files.mv(partial, path)
