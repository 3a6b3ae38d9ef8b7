"""Reads markdown files from a repository's archive (tar.gz) during its download.

The archive is not trusted: sizes are bounded, no path in it determines where a file is written, and
only regular files are read.
"""

import gzip
import tarfile
import zlib
from collections.abc import Collection, Generator
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from dataset.progress import Progress
from utils.errors import DatasetError

if TYPE_CHECKING:
    import httpx

_CONNECT_TIMEOUT = 5.0
_MAX_BYTES_DOWNLOADED = 128 * 1024 * 1024
_MAX_BYTES_UNPACKED = 512 * 1024 * 1024
_MAX_BYTES_A_FILE = 4 * 1024 * 1024
_WHAT_TO_DO = "Check the connection and run it again, or name a mirror with --guide-url."


def markdown_members(
    url: str, folder: str, names: Collection[str], progress: Progress, read_timeout: float
) -> Generator[tuple[str, bytes], None, None]:
    """Yield the named files directly in a folder below the archive's only root.

    Closing the generator early ends the download.

    Raises:
        DatasetError: the archive cannot be downloaded or read; the message states why.
    """
    import httpx

    timeout = httpx.Timeout(read_timeout, connect=min(_CONNECT_TIMEOUT, read_timeout))
    # The file itself, not compressed again by the server.
    headers = {"Accept-Encoding": "identity"}
    try:
        with httpx.stream(
            "GET", url, timeout=timeout, headers=headers, follow_redirects=True
        ) as response:
            response.raise_for_status()
            yield from _members(_Download(response, progress), folder, names)
    except httpx.HTTPStatusError as error:
        status = f"{error.response.status_code} {error.response.reason_phrase}".strip()
        raise DatasetError(f"{url} answers {status}. {_WHAT_TO_DO}") from error
    except httpx.TimeoutException as error:
        raise DatasetError(f"{url} does not answer in time. {_WHAT_TO_DO}") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"Cannot download {url}: {reason}. {_WHAT_TO_DO}") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DatasetError(
            f"{url} is not a whole tar.gz archive: {error}. {_WHAT_TO_DO}"
        ) from error


def _members(
    download: "_Download", folder: str, names: Collection[str]
) -> Generator[tuple[str, bytes], None, None]:
    # tarfile and gzip only call read().
    with (
        gzip.GzipFile(fileobj=cast("IO[bytes]", download)) as unzipped,
        tarfile.open(fileobj=cast("IO[bytes]", _Bounded(unzipped)), mode="r|") as archive,
    ):
        for member in archive:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.name not in names:
                continue
            if path.parts[1:] != (folder, path.name) or path.parts[0] in {"/", ".."}:
                continue
            if member.size > _MAX_BYTES_A_FILE:
                raise DatasetError(f"{path.name} in the archive is too large to be a page.")
            content = archive.extractfile(member)
            if content is not None:
                with content:
                    yield path.name, content.read()


class _Bounded:
    """A stream that fails beyond _MAX_BYTES_UNPACKED."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left = _MAX_BYTES_UNPACKED

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise DatasetError("The archive unpacks to far more than the Developer Guide.")
        return data


class _Download:
    """A response's body as a file that reports its progress."""

    def __init__(self, response: "httpx.Response", progress: Progress) -> None:
        self._chunks = response.iter_raw()
        self._buffer = b""
        self._received = 0
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if length.isdecimal() else None
        self._progress = progress

    def read(self, size: int) -> bytes:
        while not self._buffer:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._received += len(chunk)
            if self._received > _MAX_BYTES_DOWNLOADED:
                raise DatasetError("The archive is far larger than the Developer Guide.")
            self._progress(self._received, self._total)
            self._buffer = chunk
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data
