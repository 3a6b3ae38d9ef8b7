"""Where snapshots lie: a local folder, s3:// and gs://, and https:// to read from."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from database.snapshot.file_systems import FileSystem, LocalFolder, ObjectStore, StorageTimeouts
from utils.errors import SnapshotError

_OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_READ_ONLY = {"https", "http"}
_FORMS = "Name a folder, s3://BUCKET/PATH, gs://BUCKET/PATH, or https://HOST/PATH to read from."
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
_ASKED_FOR_CREDENTIALS = re.compile(
    r"latest/api/token|latest/meta-data|computeMetadata|token request|service account|[Cc]redential"
)
_STATUS = re.compile(r"status code: (\d{3})")
_BROKEN_OFF = "body error"
_SILENT = ("error sending request", _BROKEN_OFF, "timed out")


@dataclass(frozen=True, slots=True)
class FolderListing:
    """What lies directly in a folder."""

    files: dict[str, int]
    """Name to size in bytes."""
    folders: list[str]


class Storage:
    """A folder of files somewhere."""

    def __init__(self, url: str, timeouts: StorageTimeouts | None = None) -> None:
        """Read an address; nothing is asked of the store yet.

        Raises:
            SnapshotError: it is none that snapshots can lie at.
        """
        parts = urlsplit(url)
        self._scheme = parts.scheme if "://" in url else "file"
        self.url = url.rstrip("/")
        """Its address, fit to be shown."""
        self.is_read_only = self._scheme in _READ_ONLY
        self.is_open_to_forgery = self._scheme == "http"
        """Whether what it gives may have been changed on its way."""
        self._patience = timeouts or StorageTimeouts()
        self._files: FileSystem
        if self._scheme == "file":
            self._root = str(Path(parts.path if "://" in url else url).expanduser().absolute())
            self._files = LocalFolder()
        else:
            self._check(parts)
            self._root = f"{parts.netloc}{parts.path}".rstrip("/")
            protocol = _OBJECT_STORES.get(self._scheme, self._scheme)
            self._files = ObjectStore.of(protocol, self._patience)

    def _check(self, parts: SplitResult) -> None:
        if self._scheme not in _OBJECT_STORES.keys() | _READ_ONLY:
            raise SnapshotError(f"Snapshots cannot lie at a {self._scheme}:// address. {_FORMS}")
        if not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
            raise SnapshotError(
                "A snapshot's address has a host or bucket and a path, and neither password nor "
                f"query. {_FORMS}"
            )

    def read(self, name: str, most: int) -> bytes | None:
        """Read a file, in memory; None where there is none.

        Args:
            name: Its path below the folder.
            most: How many bytes it may have.

        Raises:
            SnapshotError: it is larger, or the store does not give it.
        """
        with self._translated(name):
            again = Retrying(
                retry=retry_if_exception(_broke_off),
                stop=stop_after_attempt(self._patience.retries + 1),
                wait=wait_random(0, 0.5),
                reraise=True,
            )
            try:
                return again(self._read, name, most)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _read(self, name: str, most: int) -> bytes:
        content = bytearray()
        for piece in self._files.pieces(f"{self._root}/{name}"):
            content += piece
            if len(content) > most:
                raise SnapshotError(f"{self.url}/{name} is larger than it may be. It is not used.")
        return bytes(content)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, which is there whole or not at all.

        Raises:
            SnapshotError: the store does not take it.
        """
        if self.is_read_only:
            raise SnapshotError(
                f"{self.url} can only be read from. Push to a folder, s3:// or gs://."
            )
        with self._translated(name):
            self._files.write_whole(f"{self._root}/{name}", content)

    def listing(self, folder: str = "") -> FolderListing | None:
        """What lies directly in a folder; None where the store does not say.

        Raises:
            SnapshotError: the store does not answer.
        """
        if self.is_read_only:
            return None
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            with self._translated(folder):
                entries = self._files.ls(path, detail=True)
        except SnapshotError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return FolderListing({}, [])
            if isinstance(error.__cause__, PermissionDeniedError):
                return None
            raise
        by_name = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in entries}
        return FolderListing(
            files={n: int(e["size"]) for n, e in by_name.items() if e["type"] == "file"},
            folders=sorted(n for n, e in by_name.items() if e["type"] == "directory"),
        )

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Turn what stores raise into one line; their own words may hold keys and whole pages."""
        place = f"{self.url}/{name}".rstrip("/")
        try:
            yield
        except PermissionDeniedError as error:
            raise SnapshotError(
                f"{place}: access is refused. Check the permissions of these credentials."
            ) from error
        except UnauthenticatedError as error:
            raise self._without_credentials(place) from error
        except BaseError as error:
            raise self._failed(place, str(error)) from error
        except FileNotFoundError as error:
            raise SnapshotError(
                f"{place}: there is no such folder or bucket. Make it, or name another."
            ) from error
        except OSError as error:
            raise SnapshotError(f"{place}: {error.strerror or 'cannot be used'}.") from error

    def _failed(self, place: str, said: str) -> SnapshotError:
        if self._scheme in _OBJECT_STORES and _ASKED_FOR_CREDENTIALS.search(said):
            return self._without_credentials(place)
        status = _STATUS.search(said)
        if status:
            how = f"answers with status {status[1]}"
        elif any(sign in said for sign in _SILENT):
            how = "does not answer, or not to the end"
        else:
            how = "gives an answer that cannot be read"
        return SnapshotError(f"{place} {how}. Check the address and the connection, and try again.")

    def _without_credentials(self, place: str) -> SnapshotError:
        names = _CREDENTIALS.get(_OBJECT_STORES.get(self._scheme, ""), "an address that needs none")
        return SnapshotError(f"{place}: no valid credentials. Set {names}.")


def _broke_off(error: BaseException) -> bool:
    """Whether a stream ended early; all other failures were tried again by the client."""
    return isinstance(error, BaseError) and _BROKEN_OFF in str(error)
