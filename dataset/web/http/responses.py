"""What a host answers, read with bounds: on the wire, unpacked, and in time."""

import zlib
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from utils.errors import DocumentError

if TYPE_CHECKING:
    import httpx

_MAX_CHARACTERS_OF_A_VALIDATOR = 500
_GZIP = ("gzip", "x-gzip")
_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Validators:
    """What a host said of the content that we hold, to ask whether it changed since."""

    url: str = ""
    """The address that gave it."""
    etag: str = ""
    modified: str = ""
    """Last-Modified, in the host's own words."""

    def headers(self) -> dict[str, str]:
        """The request's headers that make it conditional."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in headers.items() if value}


@dataclass(frozen=True, slots=True)
class Response:
    """A host's answer."""

    url: str
    """The address that gave it, after any redirects."""
    status: int
    media: str = ""
    """Media type, in lower case; "" if the host does not say."""
    charset: str = ""
    content: bytes = b""
    etag: str = ""
    modified: str = ""
    location: str = ""
    """Where a redirect leads."""
    retry_after: str = ""

    @property
    def gone(self) -> bool:
        """Whether the host says that there is no such page."""
        return self.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)

    def problem(self) -> str:
        """Say that the status is of no use."""
        known = {status.value: status.phrase for status in HTTPStatus}
        return f"answers {self.status} {known.get(self.status, '')}".rstrip()


async def read_body(response: "httpx.Response", most: int, *, cut: bool = False) -> bytes:
    """Read a body, unpacked by us, for httpx would unpack a bomb whole.

    Args:
        response: Not read yet.
        most: Bytes, on the wire and unpacked.
        cut: Give the beginning of a larger one.

    Raises:
        DocumentError: it is larger, or packed in an unknown way.
    """
    packed = response.headers.get("Content-Encoding", "").strip().lower()
    if packed not in ("", "identity", *_GZIP):
        raise DocumentError("is packed in a way that was not asked for")
    unpacking = Unpacking(most) if packed in _GZIP else None
    content = bytearray()
    received = 0
    async for piece in response.aiter_raw():
        received += len(piece)
        content += unpacking.feed(piece) if unpacking else piece
        if received > most or len(content) > most:
            if cut:
                return bytes(content[:most])
            raise size_error(most)
    if unpacking and not unpacking.whole:
        raise DocumentError("breaks off before its end")
    return bytes(content)


class Unpacking:
    """Unpacks gzip piece by piece, and no more than so much of it."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._most = most
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def whole(self) -> bool:
        """Whether the end was reached."""
        return self._inflate.eof

    def feed(self, piece: bytes) -> bytes:
        """Unpack a piece; one that unpacks to too much is cut just above the limit."""
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
            raise DocumentError("is not the gzip that it says it is") from error
        return bytes(unpacked)


def unpacked(content: bytes, most: int) -> bytes:
    """Unpack a gzip file.

    Raises:
        DocumentError: it is none, or holds more than `most` bytes.
    """
    unpacking = Unpacking(most)
    parts = [unpacking.feed(content[at : at + _PIECE]) for at in range(0, len(content), _PIECE)]
    found = b"".join(parts)
    if len(found) > most:
        raise size_error(most)
    if not unpacking.whole:
        raise DocumentError("breaks off before its end")
    return found


def size_error(most: int) -> DocumentError:
    """Say that something is over the limit."""
    return DocumentError(f"is larger than {most / 2**20:.3g} MiB")


def validator(value: str) -> str:
    """An ETag or a date as it can be sent back; "" for what cannot."""
    fit = value.isascii() and value.isprintable() and len(value) <= _MAX_CHARACTERS_OF_A_VALIDATOR
    return value if fit else ""


def http_date(value: str) -> str:
    """A Last-Modified that is a date, else ""."""
    try:
        parsedate_to_datetime(value).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
    return validator(value)
