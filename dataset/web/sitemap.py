"""Parses sitemaps (sitemaps.org) as a stream; entities and DTDs are refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError  # only the error; defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from dataset.dates import iso_date
from dataset.web.http.responses import unpacked
from utils.errors import DocumentError

MAX_BYTES = 50 * 1024 * 1024
"""The protocol's limit, unpacked."""
_PIECE = 64 * 1024
_MAX_CHARACTERS = 4000
_MAX_DEPTH = 50
_GZIP = b"\x1f\x8b"
_ROOTS = {"urlset": "url", "sitemapindex": "sitemap"}


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """A page or another sitemap that a sitemap names."""

    address: str
    """As written."""
    changed: str
    """When it was last changed (ISO 8601); "" if unknown."""
    is_sitemap: bool
    """True for a sitemap, false for a page."""


def sitemap_entries(content: bytes) -> Iterator[SitemapEntry]:
    """Parse a sitemap or an index of sitemaps, gzipped or not.

    Raises:
        DocumentError: it is neither, or incomplete; the entries before are valid.
    """
    if content.startswith(_GZIP):
        content = unpacked(content, MAX_BYTES)
    reader = _Reader()
    parser = DefusedXMLParser(target=reader, forbid_dtd=True)
    try:
        for at in range(0, len(content), _PIECE):
            parser.feed(content[at : at + _PIECE])
            yield from reader.take()
        parser.close()
    except DefusedXmlException as error:
        raise DocumentError("is XML with a DTD or entities, which no sitemap needs") from error
    except (ParseError, ValueError, LookupError) as error:
        raise DocumentError("is not XML, or is incomplete") from error
    yield from reader.take()


class _Reader:
    """Receives the parser's events; only elements directly below an entry are read."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._fields: dict[str, str] = {}
        self._found: list[SitemapEntry] = []

    def take(self) -> list[SitemapEntry]:
        """Return and clear the entries found since the last call."""
        found, self._found = self._found, []
        return found

    def start(self, tag: str, _: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        if not self._path and name not in _ROOTS:
            raise DocumentError("is not a sitemap")
        if len(self._path) >= _MAX_DEPTH:
            raise DocumentError("is nested too deeply for a sitemap")
        self._path.append(name)
        if len(self._path) == 2:
            self._fields = {}

    def data(self, text: str) -> None:
        if len(self._path) == 3 and self._path[2] in ("loc", "lastmod"):
            so_far = self._fields.get(self._path[2], "")
            if len(so_far) < _MAX_CHARACTERS:
                self._fields[self._path[2]] = so_far + text

    def end(self, _: str) -> None:
        root, *inner = self._path
        self._path.pop()
        address = self._fields.get("loc", "").strip()
        if len(inner) == 1 and inner[0] == _ROOTS[root] and address:
            changed = iso_date(self._fields.get("lastmod", ""))
            self._found.append(SitemapEntry(address, changed, is_sitemap=root == "sitemapindex"))
