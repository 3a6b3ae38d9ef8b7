"""Names of the files that pages are kept in: safe on every file system, and fit to be read."""

import hashlib
import re
import unicodedata
from urllib.parse import unquote, urlsplit

FOLDER = "web"
"""Below the dataset's root."""

_MAX_BYTES_A_PART = 100
_MAX_BYTES = 400
_ENDING = re.compile(r"\.(?:x?html?|md|markdown)\Z", re.IGNORECASE)
_ODD = re.compile(r"[^\w.~+=@,()-]")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?\Z", re.IGNORECASE)
"""Names that are devices to Windows."""
_ABOUT_THE_FOLDER = re.compile(r"LICEN[SC]E|NOTICE|COPYING")
"""A file so named is not taken for a document."""


def file_of(url: str, *, apart: bool = False) -> str:
    """Name the file of a page, `/`-separated, below the web folder.

    Args:
        url: The page's address, in its normal spelling.
        apart: Add a mark of the address, because another page has the plain name.
    """
    parts = urlsplit(url)
    host = parts.netloc.replace("[", "").replace("]", "").replace(":", "~")
    *folders, last = parts.path.removeprefix("/").split("/")
    stem = _ENDING.sub("", last) or "index"
    plain = [part for part in (*folders, stem) if part]
    kept = [_safe(part) for part in plain]
    # A folder must not take the name of a file.
    kept[:-1] = [f"{part}_" if part.lower().endswith(".md") else part for part in kept[:-1]]
    if _ABOUT_THE_FOLDER.match(kept[-1]):
        kept[-1] = f"_{kept[-1]}"
    if apart or parts.query or [unquote(part) for part in plain] != kept:
        kept[-1] = f"{kept[-1]}-{_mark(url)}"
    name = "/".join((host, *kept))
    if len(name.encode()) > _MAX_BYTES:
        name = f"{host}/{_mark(url)}"
    return f"{name}.md"


def folded(name: str) -> str:
    """What a file system that ignores case, or how letters are composed, takes a name for."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _safe(part: str) -> str:
    kept = _ODD.sub("_", unicodedata.normalize("NFC", unquote(part)))
    kept = kept.encode()[:_MAX_BYTES_A_PART].decode(errors="ignore")
    if kept.startswith("."):
        kept = f"_{kept}"
    if kept.endswith(".") or _DEVICE.match(kept):
        kept = f"{kept}_"
    return kept


def _mark(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:10]
