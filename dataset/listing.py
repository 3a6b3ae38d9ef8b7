"""Lists what a folder contains: documents, what is skipped, and what cannot be read.

Linked folders are followed after all others, and none is read twice, so that a link that leads back
ends there and a document has the name of its real place. Names are in NFC, whatever the disk has.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from dataset.conversion.converter import format_of
from dataset.documents import normal_name
from dataset.skipped import SkippedFile, SkipReason
from dataset.sources.developer_guide import LICENSE_NAME

_LICENCES = {"LICENSE", "LICENCE", "NOTICE", "COPYING"}
_LICENCE_EXTENSIONS = {"", ".md", ".markdown", ".rst", ".txt"}
_SYSTEM_FOLDERS = {"lost+found", "System Volume Information", "$RECYCLE.BIN"}
"""Folders of file systems, which only their administrators can read."""
_WILD = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects documents of a folder by name; all of them by default."""

    include: tuple[str, ...] = ()
    """Patterns of names (`*` also matches `/`); if there are any, a name must match one."""
    exclude: tuple[str, ...] = ()
    """Patterns of names to leave out; they take precedence over `include`."""

    def matches(self, name: str) -> bool:
        """True if the document is selected."""
        included = not self.include or _matches(name, self.include)
        return included and not _matches(name, self.exclude)

    def may_match_below(self, folder: str) -> bool:
        """False if no document of a folder, whose name ends in `/`, can be selected."""
        # Whatever follows the name is matched by a `*` at the end.
        whole = [pattern for pattern in self.exclude if pattern.endswith("*")]
        begins = [normal_name(_WILD.split(pattern)[0]) for pattern in self.include]
        reached = [begin.startswith(folder) or folder.startswith(begin) for begin in begins]
        return (any(reached) or not begins) and not _matches(folder, whole)

    def may_match(self, name: str) -> bool:
        """False if neither the document, nor one of the folder, of this name can be selected."""
        is_left_out = _matches(name, self.exclude)
        return not is_left_out and (self.matches(name) or self.may_match_below(f"{name}/"))


ALL_DOCUMENTS = Selection()


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, normal_name(pattern)) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a folder, by document name: a path below it, `/`-separated."""

    documents: dict[str, Path] = field(default_factory=dict)
    skipped: list[SkippedFile] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why these cannot be read; a folder's name ends in `/`, and the listed one's is ""."""


def list_folder(folder: Path, selection: Selection = ALL_DOCUMENTS) -> Listing:
    """List a folder and all folders below it.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
    """
    listing = Listing()
    found: list[tuple[str, Path]] = [("", folder)]
    linked: list[tuple[str, Path]] = []
    read = _folders_above(folder)
    has_followed = False
    while found or linked:
        # Folders below a link may also be linked to by themselves.
        has_followed = has_followed or not found
        name, place = found.pop() if found else linked.pop(0)
        try:
            identity = _identity(place)
            if has_followed and identity in read:
                listing.skipped.append(SkippedFile(name, SkipReason.LINK))
                continue
            with os.scandir(place) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not name and isinstance(error, FileNotFoundError | NotADirectoryError):
                raise
            listing.unreadable[name] = reason_of(error)
            continue
        read.add(identity)
        for entry in ordered:
            if below := _add(listing, entry, normal_name(f"{name}{entry.name}"), selection):
                (linked if entry.is_symlink() else found).append((below, Path(entry.path)))
    listing.skipped.sort(key=lambda one: one.name)
    return listing


def reason_of(error: OSError) -> str:
    """The system's reason for an error, without the path."""
    return (error.strerror or type(error).__name__).lower()


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _folders_above(folder: Path) -> set[tuple[int, int]]:
    """The folders that contain this one: a link to one of them leads back."""
    found = set()
    for place in Path(os.path.realpath(folder)).parents:
        with suppress(OSError):
            found.add(_identity(place))
    return found


def _add(listing: Listing, entry: "os.DirEntry[str]", name: str, selection: Selection) -> str:
    """Add an entry to the listing, unless it is a folder to list: returns that one's name."""
    if entry.name.startswith(".") or entry.name in _SYSTEM_FOLDERS:
        listing.skipped.append(SkippedFile(name, SkipReason.HIDDEN))
        return ""
    kind, problem = _kind(entry)
    below = f"{name}/"
    if kind == "folder" and selection.may_match_below(below):
        return below
    if kind == "folder":
        listing.skipped.append(SkippedFile(below, SkipReason.NOT_SELECTED))
    elif kind == "unknown" and not selection.may_match(name):
        listing.skipped.append(SkippedFile(name, SkipReason.NOT_SELECTED))
    elif kind == "file" and (reason := _skipped(entry.name, name, selection)):
        listing.skipped.append(SkippedFile(name, reason))
    elif problem:
        listing.unreadable[name] = problem
    elif other := listing.documents.get(name):
        names = f"{other.name!a} and {entry.name!a}"
        listing.unreadable[name] = f"two files have this name, written differently: {names}"
    else:
        listing.documents[name] = Path(entry.path)
    return ""


def _kind(entry: "os.DirEntry[str]") -> tuple[Literal["folder", "file", "unknown"], str]:
    """What an entry is, folder, file or unknown, and why it cannot be read."""
    try:
        if entry.is_dir():
            return "folder", ""
        if entry.is_file():
            return "file", ""
        if not Path(entry.path).exists():
            return "unknown", "it is a link to nothing"
    except OSError as error:
        return "unknown", reason_of(error)
    return "file", "it is not a regular file"


def _skipped(file: str, name: str, selection: Selection) -> SkipReason | None:
    path = PurePosixPath(file)
    if (path.stem in _LICENCES and path.suffix in _LICENCE_EXTENSIONS) or file == LICENSE_NAME:
        return SkipReason.LICENCE
    if format_of(name) is None:
        return SkipReason.FORMAT
    return None if selection.matches(name) else SkipReason.NOT_SELECTED
