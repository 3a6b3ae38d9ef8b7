"""Names the files of web pages: readable, and valid on every file system."""

import hashlib
import re
import unicodedata
from urllib.parse import unquote, urlsplit

FOLDER = "web"
"""Below the dataset's root."""

_OTHER_SOURCES = {"api-reference", FOLDER}
"""Folders beside the pages of a guide."""
_MAX_BYTES_A_PART = 100
_MAX_BYTES = 400
_ENDING = re.compile(r"\.(?:x?html?|md|markdown)\Z", re.IGNORECASE)
_ODD = re.compile(r"[^\w.~+=@,()-]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?\Z", re.IGNORECASE)
"""Device names on Windows."""
_NOT_A_DOCUMENT = re.compile(r"LICEN[SC]E|NOTICE|COPYING")
"""Files with these names are not loaded as documents."""


def file_of(url: str, *, root: str = "", unique: bool = False) -> str:
    """The file name of a page, `/`-separated: its host and path, or its path below `root`.

    `unique` adds a hash of the normalized address, because another page has the plain name.
    """
    parts = urlsplit(url)
    host = parts.netloc.replace("[", "").replace("]", "").replace(":", "~")
    path = parts.path.removeprefix(urlsplit(root).path) if root else parts.path
    *folders, last = path.removeprefix("/").split("/")
    stem = _ENDING.sub("", last) or "index"
    plain = [part for part in (*folders, stem) if part]
    kept = [_safe(part) for part in plain]
    # A folder must not have the name of another page's file.
    kept[:-1] = [f"{part}_" if part.lower().endswith(".md") else part for part in kept[:-1]]
    if root and len(kept) > 1 and kept[0].lower() in _OTHER_SOURCES:
        kept[0] = f"{kept[0]}_"
    if _NOT_A_DOCUMENT.match(kept[-1]):
        kept[-1] = f"_{kept[-1]}"
    if unique or parts.query or [unquote(part) for part in plain] != kept:
        kept[-1] = f"{kept[-1]}-{_hash(url)}"
    if len("/".join((host, *kept)).encode()) > _MAX_BYTES:
        kept = [_hash(url)]
    return "/".join(kept if root else (host, *kept)) + ".md"


def folder_of(root: str) -> str:
    """The folder of the pages below an address that ends with a slash."""
    return file_of(root).removesuffix("index.md")


def folded(name: str) -> str:
    """The name as file systems compare it that ignore case or Unicode composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _safe(part: str) -> str:
    kept = _ODD.sub("_", unicodedata.normalize("NFC", unquote(part)))
    kept = kept.encode()[:_MAX_BYTES_A_PART].decode(errors="ignore")
    if kept.startswith("."):
        kept = f"_{kept}"
    if kept.endswith(".") or _DEVICE.match(kept):
        kept = f"{kept}_"
    return kept


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:10]
