"""A document: one file of the dataset as markdown, with its metadata."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from dataset.conversion.converter import FORMATS, VERSION, Limits, convert, format_of
from dataset.frontmatter import Frontmatter, split_frontmatter
from dataset.sources.developer_guide import page_url
from utils.errors import DocumentError

MAX_DOCUMENT_BYTES = Limits().input_bytes
"""Bounds the memory for reading a file; documents that people write are smaller."""
MAX_NAME_BYTES = 500
_UNCONVERTED = {"markdown", "text"}
"""Formats whose hash does not depend on the converter's version."""
_FORBIDDEN_IN_NAMES = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\\ufffd]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of the dataset."""

    name: str
    """Path below the dataset's root, `/`-separated."""
    text: str
    """Markdown, without its frontmatter."""
    title: str
    """The document's own title; "" if it has none: the splitter then uses the first heading."""
    url: str
    """The live page's address; "" if unknown."""
    content_hash: str
    """SHA-256, hexadecimal, of everything that determines its text: see `content_hash`."""
    format: str = "markdown"
    """The format it was converted from."""
    changed: str = ""
    """Its last change according to itself (ISO 8601); "" if unknown."""


def content_hash(content: bytes, name: str, given: Frontmatter | None = None) -> str:
    """Hash a file's bytes and everything else that determines its document.

    The name's extension determines the format; `given` is metadata that came with an upload.
    """
    digest = hashlib.sha256(content)
    if format_of(name) not in _UNCONVERTED:
        digest.update(f"\n{format_of(name)} {VERSION}".encode())
    if given and given != Frontmatter():
        digest.update(f"\n{given}".encode())
    return digest.hexdigest()


def read_document(
    content: bytes, name: str, *, given: Frontmatter | None = None, limits: Limits | None = None
) -> Document:
    """Read a file as a document; formats other than text are converted in a separate process.

    The name's extension determines the format. `given` is metadata that came with an upload; it
    takes precedence over the file's own.

    Raises:
        DocumentError: the file cannot be read as a document.
    """
    given = given or Frontmatter()
    converted = convert(content, name, limits or Limits())
    head, text = split_frontmatter(converted.text)
    return Document(
        name=name,
        text=text,
        title=given.title or head.title or converted.title,
        url=given.url or head.url or converted.url or page_url(name),
        content_hash=content_hash(content, name, given),
        format=format_of(name) or "",
        changed=given.changed or head.changed or converted.changed,
    )


def normal_name(name: str) -> str:
    """A name in the one form that names are stored and compared in, NFC; macOS writes NFD."""
    return unicodedata.normalize("NFC", name)


def check_name(name: str) -> None:
    """Validate a document's name.

    Raises:
        DocumentError: it could escape the dataset's folder, cannot be displayed, or has an unknown
            extension.
    """
    if not name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise DocumentError(f"a name must have 1 to {MAX_NAME_BYTES} bytes")
    if _FORBIDDEN_IN_NAMES.search(name) or not unicodedata.is_normalized("NFC", name):
        raise DocumentError("a name must be NFC Unicode without backslashes or control characters")
    parts = name.split("/")
    if any(not part or part.startswith(".") or part != part.strip() for part in parts):
        raise DocumentError(
            "a name is a path like guides/page.md, without empty parts, parts that start with a "
            "dot or space, or parts that end with a space"
        )
    if format_of(name) is None:
        known = ", ".join(sorted(FORMATS))
        raise DocumentError(f"a name must have one of these extensions: {known}")
