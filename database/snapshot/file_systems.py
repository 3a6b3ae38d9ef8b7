"""The file systems that snapshots lie in; paths carry no scheme."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import fsspec  # type: ignore[import-untyped]
from obstore.fsspec import FsspecStore

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class StorageTimeouts:
    """How long a store may take, in seconds, and how often it is asked again."""

    connect: float = 5.0
    silence: float = 30.0
    """Until a stream that stands still is given up."""
    request: float = 600.0
    """For the whole of one request, which carries some 16 MiB."""
    retries: int = 4
    retrying: float = 120.0


class FileSystem(Protocol):
    """What is asked of a file system; paths carry no scheme."""

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        """What lies directly in a folder."""

    def pieces(self, path: str) -> Iterable[bytes]:
        """The content of a file as it comes."""

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a file so that it is there whole or not at all."""


class ObjectStore(FsspecStore):
    """An object store, read as it comes and written with one request an object."""

    cachable = False
    """The environment's credentials count as they are now."""

    @classmethod
    def of(cls, protocol: str, timeouts: StorageTimeouts) -> "ObjectStore":
        """The stores of a protocol; obstore finds credentials where its users expect them."""
        options: dict[str, Any] = {
            "client_options": {
                # Stores of one's own network are often plain; https:// itself stays that.
                "allow_http": protocol != "https",
                "connect_timeout": timedelta(seconds=timeouts.connect),
                "read_timeout": timedelta(seconds=timeouts.silence),
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

    def pieces(self, path: str) -> Iterable[bytes]:
        """The content of an object as it comes."""
        bucket, key = self._split_path(path)
        # fsspec's own files ask for ranges, which a plain web server does not know.
        return self._construct_store(bucket).get(key).stream(min_chunk_size=_PIECE)

    def write_whole(self, path: str, content: bytes) -> None:
        """Write an object in one request."""
        bucket, key = self._split_path(path)
        # fsspec's own way uploads in several requests, which an interruption leaves lying about.
        self._construct_store(bucket).put(key, content, use_multipart=False)


class LocalFolder:
    """A local folder."""

    def __init__(self) -> None:
        self._files = fsspec.filesystem("file", auto_mkdir=True)

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        """What lies directly in a folder."""
        listed: list[dict[str, Any]] = self._files.ls(path, detail=detail)
        return listed

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file as it is read."""
        with self._files.open(path, "rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def write_whole(self, path: str, content: bytes) -> None:
        """Write a file beside its place, and move it there."""
        partial = f"{path}.partial"
        self._files.pipe_file(partial, content)
        self._files.mv(partial, path)
