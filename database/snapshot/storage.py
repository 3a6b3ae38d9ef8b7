"""Reads and writes files of snapshots: a local folder, s3://, gs://, or https:// (read-only)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from database.snapshot.file_systems import (
    FolderListing,
    LocalFolder,
    RemoteFolder,
    StorageTimeouts,
)
from utils.errors import SnapshotError

_OBJECT_STORES = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_READ_ONLY = {"https", "http"}
_FORMS = "Name a folder, s3://BUCKET/PATH, gs://BUCKET/PATH, or https://HOST/PATH to read from."
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
}
_CREDENTIAL_REQUEST = re.compile(
    r"latest/api/token|latest/meta-data|computeMetadata|token request|service account|[Cc]redential"
)
_STATUS = re.compile(r"status code: (\d{3})")
_INTERRUPTED = "body error"
_SILENT = ("error sending request", _INTERRUPTED, "timed out")


class Storage:
    """A folder at an address."""

    def __init__(self, url: str, timeouts: StorageTimeouts | None = None) -> None:
        """Parse an address, without a request to the store.

        Raises:
            SnapshotError: the address is not supported.
        """
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise SnapshotError(f"{url!r} is not an address. {_FORMS}") from error
        self._scheme = parts.scheme if "://" in url else "file"
        self.url = url.rstrip("/")
        """The address; contains no credentials."""
        self.is_read_only = self._scheme in _READ_ONLY
        self.is_insecure = self._scheme == "http"
        """True for plain http: the content may be changed in transit."""
        self._timeouts = timeouts or StorageTimeouts()
        self._files: LocalFolder | RemoteFolder
        if self._scheme == "file":
            path = Path(parts.path if "://" in url else url)
            self._files = LocalFolder(path.expanduser().absolute())
        else:
            self._check(parts)
            bucket = f"{_OBJECT_STORES.get(self._scheme, self._scheme)}://{parts.netloc}"
            self._files = RemoteFolder(bucket, parts.path.strip("/"), self._timeouts)

    def folder(self, name: str) -> "Storage":
        """A folder in this one."""
        return Storage(f"{self.url}/{name}", self._timeouts)

    def _check(self, parts: SplitResult) -> None:
        if self._scheme not in _OBJECT_STORES.keys() | _READ_ONLY:
            raise SnapshotError(f"{self._scheme}:// addresses are not supported. {_FORMS}")
        if not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
            raise SnapshotError(
                "A snapshot's address has a host or bucket and a path, and neither password nor "
                f"query. {_FORMS}"
            )

    def read(self, name: str, max_bytes: int) -> bytes | None:
        """Read a file into memory; None if it does not exist.

        Raises:
            SnapshotError: the file is larger than `max_bytes`, or the store refuses it.
        """
        with self._translate_errors(name):
            retrying = Retrying(
                retry=retry_if_exception(_is_interrupted),
                stop=stop_after_attempt(self._timeouts.retries + 1),
                wait=wait_random(0, 0.5),
                reraise=True,
            )
            try:
                return retrying(self._read, name, max_bytes)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _read(self, name: str, max_bytes: int) -> bytes:
        content = bytearray()
        for chunk in self._files.stream(name):
            content += chunk
            if len(content) > max_bytes:
                raise SnapshotError(f"{self.url}/{name} is larger than it may be. It is not used.")
        return bytes(content)

    def write(self, name: str, content: bytes) -> None:
        """Write a file atomically.

        Raises:
            SnapshotError: the store refuses it.
        """
        with self._translate_errors(name):
            self._files.write(name, content)

    def listing(self) -> FolderListing | None:
        """The entries of the folder; None if the store does not list them.

        Raises:
            SnapshotError: the store does not answer.
        """
        if self.is_read_only:
            return None
        try:
            with self._translate_errors():
                return self._files.listing()
        except SnapshotError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return FolderListing({}, [])
            if isinstance(error.__cause__, PermissionDeniedError):
                return None
            raise

    @contextmanager
    def _translate_errors(self, name: str = "") -> Iterator[None]:
        """Translate errors to one line; the store's own texts may contain keys and whole pages."""
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
                f"{place}: there is no such folder or bucket. Create it, or name another."
            ) from error
        except OSError as error:
            raise SnapshotError(f"{place}: {error.strerror or 'cannot be used'}.") from error

    def _failed(self, place: str, reason: str) -> SnapshotError:
        if self._scheme in _OBJECT_STORES and _CREDENTIAL_REQUEST.search(reason):
            return self._without_credentials(place)
        status = _STATUS.search(reason)
        if status:
            how = f"answers with status {status[1]}"
        elif any(sign in reason for sign in _SILENT):
            how = "does not answer, or not to the end"
        else:
            how = "gives an answer that cannot be read"
        return SnapshotError(f"{place} {how}. Check the address and the connection, and try again.")

    def _without_credentials(self, place: str) -> SnapshotError:
        names = _CREDENTIALS.get(_OBJECT_STORES.get(self._scheme, ""), "an address that needs none")
        return SnapshotError(f"{place}: no valid credentials. Set {names}.")


def _is_interrupted(error: BaseException) -> bool:
    """True if a stream ended early; the client itself retries all other failures."""
    return isinstance(error, BaseError) and _INTERRUPTED in str(error)
