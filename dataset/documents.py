"""A document: one file of the dataset as markdown, with what it says of itself."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath

from dataset.conversion.converter import FORMATS, VERSION, Limits, convert, format_of
from dataset.frontmatter import Frontmatter, split_frontmatter
from dataset.sources.developer_guide import guide_names
from dataset.web.request import GUIDE_URL
from utils.errors import DocumentError

MAX_DOCUMENT_BYTES = Limits().input_bytes
"""A larger file is no document that a person wrote; reading it would cost unbounded memory."""
MAX_NAME_BYTES = 500
_AS_IT_IS = {"markdown", "text"}
"""Formats that are not converted: their hash is that of their bytes, whatever the converter."""
_NOT_IN_A_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\\ufffd]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Document:
    """One document as it lies in the dataset."""

    name: str
    """Path under the dataset's root, `/`-separated."""
    text: str
    """Markdown, without its frontmatter."""
    title: str
    """As the document says itself, else "": the splitter then takes the first heading."""
    url: str
    """Where a person reads it live; "" if unknown."""
    content_hash: str
    """SHA-256, hexadecimal, of all that decides its text: see `content_hash`."""
    format: str = "markdown"
    """What it was converted from."""
    changed: str = ""
    """When it was last changed, as it says itself (ISO 8601); "" if unknown."""


def content_hash(content: bytes, name: str, given: Frontmatter | None = None) -> str:
    """Hash a file's bytes, and what else decides its document.

    Args:
        content: The file.
        name: Its name, whose ending tells the format.
        given: What is said of it from outside.
    """
    digest = hashlib.sha256(content)
    if format_of(name) not in _AS_IT_IS:
        digest.update(f"\n{format_of(name)} {VERSION}".encode())
    if given and given != Frontmatter():
        digest.update(f"\n{given}".encode())
    return digest.hexdigest()


def read_document(
    content: bytes,
    name: str,
    *,
    given: Frontmatter | None = None,
    limits: Limits | None = None,
) -> Document:
    """Read a file as a document; formats but text are converted in another process.

    Args:
        content: The file.
        name: Its name, whose ending tells the format.
        given: What is said of it from outside; it goes before what the file says.
        limits: What a conversion may take.

    Raises:
        DocumentError: it cannot be one; the message says why.
    """
    given = given or Frontmatter()
    converted = convert(content, name, limits or Limits())
    head, text = split_frontmatter(converted.text)
    return Document(
        name=name,
        text=text,
        title=given.title or head.title or converted.title,
        url=given.url or head.url or converted.url or _live_address(name),
        content_hash=content_hash(content, name, given),
        format=format_of(name) or "",
        changed=given.changed or head.changed or converted.changed,
    )


def _live_address(name: str) -> str:
    return f"{GUIDE_URL}{PurePosixPath(name).stem}.html" if name in guide_names() else ""


def check_name(name: str) -> None:
    """Refuse what is no name of a document.

    Raises:
        DocumentError: it could lead out of the dataset, or cannot be shown, or tells no format.
    """
    if not name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise DocumentError(f"a name has 1 to {MAX_NAME_BYTES} bytes")
    if _NOT_IN_A_NAME.search(name) or not unicodedata.is_normalized("NFC", name):
        raise DocumentError("a name holds no backslash or control character, and is NFC Unicode")
    parts = name.split("/")
    if any(not part or part.startswith(".") or part != part.strip() for part in parts):
        raise DocumentError(
            "a name is a path like guides/page.md: no empty part, none that begins with a dot or "
            "a space, none that ends with a space"
        )
    if format_of(name) is None:
        known = ", ".join(sorted(FORMATS))
        raise DocumentError(f"the name's ending must be one of these: {known}")
