"""HTTP responses: their headers, and bodies read within limits on packed and unpacked size."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING

from utils.errors import DocumentError

if TYPE_CHECKING:
    import httpx

_MAX_CHARACTERS_OF_A_VALIDATOR = 500
_MAX_RETRY_AFTER_SECONDS = 1e9
_GZIP = ("gzip", "x-gzip")


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of stored content, for conditional requests."""

    url: str = ""
    """The address that responded."""
    etag: str = ""
    modified: str = ""
    """Last-Modified, as the host wrote it."""

    def headers(self) -> dict[str, str]:
        """The headers of a conditional request."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}


@dataclass(frozen=True, slots=True)
class Response:
    """A host's response."""

    url: str
    """The address that responded, after any redirects."""
    status: int
    media: str = ""
    """Media type, in lower case; "" if not stated."""
    charset: str = ""
    content: bytes = b""
    etag: str = ""
    modified: str = ""
    location: str = ""
    """The target of a redirect."""
    retry_after: str = ""

    @property
    def gone(self) -> bool:
        """True if the host states that there is no such page."""
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

    def problem(self) -> str:
        """The error text for a status that is not a success."""
        return f"answers {self.status} {responses.get(self.status, '')}".rstrip()


async def read_body(response: "httpx.Response", max_bytes: int, *, cut: bool = False) -> bytes:
    """Read and unpack a body within a limit; httpx would unpack a decompression bomb.

    The limit is for the bytes on the wire and for the unpacked ones. With `cut`, the beginning of a
    larger body is returned.

    Raises:
        DocumentError: it is larger, or packed in an unknown way.
    """
    packed = response.headers.get("Content-Encoding", "").strip().lower()
    if packed not in ("", "identity", *_GZIP):
        raise DocumentError("has a Content-Encoding that was not requested")
    unpacking = Unpacking(max_bytes) if packed in _GZIP else None
    content = bytearray()
    received = 0
    async for piece in response.aiter_raw():
        received += len(piece)
        content += unpacking.feed(piece) if unpacking else piece
        if received > max_bytes or len(content) > max_bytes:
            if cut:
                return bytes(content[:max_bytes])
            raise size_error(max_bytes)
    if unpacking and not unpacking.complete:
        raise DocumentError("ended before it was complete")
    return bytes(content)


class Unpacking:
    """Unpacks gzip piece by piece, up to a limit."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def complete(self) -> bool:
        """True if the end was reached."""
        return self._inflate.eof

    def feed(self, piece: bytes) -> bytes:
        """Unpack a piece; the result is cut just above the limit."""
        unpacked = bytearray()
        try:
            while piece and self._left >= 0:
                if self._inflate.eof:
                    self._inflate = zlib.decompressobj(wbits=31)
                part = self._inflate.decompress(piece, self._left + 1)
                unpacked += part
                self._left -= len(part)
                piece = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error as error:
            raise DocumentError("is not valid gzip") from error
        return bytes(unpacked)


def unpacked(content: bytes, max_bytes: int) -> bytes:
    """Unpack a gzip file.

    Raises:
        DocumentError: it is not gzip, or larger than `max_bytes`.
    """
    unpacking = Unpacking(max_bytes)
    found = unpacking.feed(content)
    if len(found) > max_bytes:
        raise size_error(max_bytes)
    if not unpacking.complete:
        raise DocumentError("ended before it was complete")
    return found


def size_error(max_bytes: int) -> DocumentError:
    """The error for something over the limit."""
    return DocumentError(f"is larger than {max_bytes / 2**20:.3g} MiB")


def validator(value: str) -> str:
    """An ETag or a date that is safe to send back; else ""."""
    fit = value.isascii() and value.isprintable() and len(value) <= _MAX_CHARACTERS_OF_A_VALIDATOR
    return value if fit else ""


def http_date(value: str) -> str:
    """A Last-Modified header that is a valid date; else ""."""
    return validator(value) if _moment(value) else ""


def retry_after_seconds(retry_after: str, default: float = 0.0) -> float:
    """Parse a Retry-After header (RFC 9110, 10.2.3): a delay in seconds or an HTTP date.

    Returns `default` for neither, and 0 for a date in the past.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), _MAX_RETRY_AFTER_SECONDS)
    until = _moment(text)
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until else default


def _moment(http_date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(http_date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
