"""Lists what a folder contains: documents, what is skipped, and what cannot be read.

Linked folders are followed, each once and after all others, so that a link that leads back ends
there and a document has the name of its real place. Names are in NFC, whatever the disk has.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from dataset.conversion.converter import format_of
from dataset.documents import normal_name
from dataset.skipped import SkippedFile, SkipReason

_LICENCES = {"LICENSE", "LICENCE", "NOTICE", "COPYING"}
_LICENCE_EXTENSIONS = {"", ".md", ".markdown", ".rst", ".txt"}
_LICENCE_OF_GUIDE = "LICENSE-developer-guide.txt"
"""Written by `dataset.fetch` next to the guide."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects documents of a folder by name; all of them by default."""

    include: tuple[str, ...] = ()
    """Patterns of names (`*` also matches `/`); if there are any, a name must match one."""
    exclude: tuple[str, ...] = ()
    """Patterns of names to leave out; they take precedence over `include`."""

    def matches(self, name: str) -> bool:
        """True if the document is selected."""
        return (not self.include or _matches(name, self.include)) and not self.excludes(name)

    def excludes(self, name: str) -> bool:
        """True if the document, or all documents of the folder `name/`, are left out."""
        patterns = self.exclude
        if name.endswith("/"):  # what follows the name can only be matched by a `*` at the end
            patterns = tuple(pattern for pattern in patterns if pattern.endswith("*"))
        return _matches(name, patterns)


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
    while found or linked:
        is_link = not found
        name, place = linked.pop(0) if is_link else found.pop()
        try:
            identity = _identity(place)
            if is_link and identity in read:
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
    # What is hidden or left out by --exclude may be unreadable.
    if reason := _ignored(entry.name, name, selection):
        listing.skipped.append(SkippedFile(name, reason))
        return ""
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError as error:
        listing.unreadable[name] = reason_of(error)
        return ""
    if is_folder and not selection.excludes(f"{name}/"):
        return f"{name}/"
    if is_folder:
        listing.skipped.append(SkippedFile(f"{name}/", SkipReason.NOT_SELECTED))
    elif not is_file and entry.is_symlink():  # to a document or a folder, as far as one can know
        listing.unreadable[name] = "it is a link to nothing"
    elif reason := _skipped(entry.name, name, selection):
        listing.skipped.append(SkippedFile(name, reason))
    elif not is_file:
        listing.unreadable[name] = "it is not a regular file"
    elif other := listing.documents.get(name):
        names = f"{other.name!a} and {entry.name!a}"
        listing.unreadable[name] = f"two files have this name, written differently: {names}"
    else:
        listing.documents[name] = Path(entry.path)
    return ""


def _ignored(file: str, name: str, selection: Selection) -> SkipReason | None:
    if file.startswith("."):
        return SkipReason.HIDDEN
    return SkipReason.NOT_SELECTED if selection.excludes(name) else None


def _skipped(file: str, name: str, selection: Selection) -> SkipReason | None:
    path = PurePosixPath(file)
    if (path.stem in _LICENCES and path.suffix in _LICENCE_EXTENSIONS) or file == _LICENCE_OF_GUIDE:
        return SkipReason.LICENCE
    if format_of(name) is None:
        return SkipReason.FORMAT
    return None if selection.matches(name) else SkipReason.NOT_SELECTED
