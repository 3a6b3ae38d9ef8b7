"""A folder of documents: finds the files that are documents, hashes and reads them.

A file that cannot be read is an error, as its document is missing only for now; a file that can be
read and is not a document is skipped.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from dataset.conversion.converter import check_size
from dataset.documents import MAX_DOCUMENT_BYTES, Document, content_hash, read_document
from dataset.listing import ALL_DOCUMENTS, Listing, Selection, list_folder, reason_of
from dataset.skipped import SkippedFile, SkipReason, printable
from utils.errors import DatasetError, DocumentError

OnSkip = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class File:
    """A document's file, not converted yet."""

    name: str
    path: Path
    content_hash: str

    def read(self) -> Document:
        """Read it as a document.

        Raises:
            DocumentError: it is not a document.
            DatasetError: it cannot be read, or its content changed since it was hashed.
        """
        content = _content(self.path, self.name)
        if content_hash(content, self.name) != self.content_hash:
            raise _changed(self.name)
        try:
            return read_document(content, self.name)
        except OSError as error:  # this machine's, not the file's
            raise DatasetError(
                f"Cannot convert {printable(self.name)} on this machine ({reason_of(error)})."
            ) from error


def document_paths(folder: Path, selection: Selection = ALL_DOCUMENTS) -> list[Path]:
    """List the documents' files below a folder by name, without hidden ones.

    Raises:
        DatasetError: the folder is missing, cannot be read or contains no document.
    """
    documents = listed_documents(folder, selection).documents
    return [documents[name] for name in sorted(documents)]


def listed_documents(folder: Path, selection: Selection = ALL_DOCUMENTS) -> Listing:
    """List a folder that has documents.

    Raises:
        DatasetError: the folder is missing, cannot be read or contains no document.
    """
    try:
        listing = list_folder(folder, selection)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(
            f"No dataset folder at {folder}. Fetch the documentation: python -m dataset.fetch"
        ) from error
    if listing.documents:
        return listing
    _check_readable(folder, listing)
    for one in listing.skipped:
        if one.reason == SkipReason.NOT_SELECTED:
            raise DatasetError(
                f"--include and --exclude leave no document of {folder}. They match names, which "
                f"are paths below it, as {printable(one.name)}."
            )
    raise DatasetError(f"No document in {folder}. Fetch the documentation: python -m dataset.fetch")


def has_documents(folder: Path) -> bool:
    """True if the folder contains a document, or may contain one that cannot be read."""
    try:
        listing = list_folder(folder)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return bool(listing.documents or listing.unreadable)


def scan_files(
    folder: Path, skipped: OnSkip, selection: Selection = ALL_DOCUMENTS
) -> Iterator[File]:
    """Hash every document's file below a folder, ordered by name.

    `skipped` is called with one line for each file that cannot be converted.

    Raises:
        DatasetError: the folder is missing or contains no document, or a part of it cannot be read.
    """
    listing = listed_documents(folder, selection)
    for line in unmatched_patterns(listing, selection):
        skipped(line)
    for file in hashed_files(folder, listing):
        if isinstance(file, File):
            yield file
        else:
            skipped(str(file))


def unmatched_patterns(listing: Listing, selection: Selection) -> Iterator[str]:
    """A line for each pattern of --include that matches no document."""
    for pattern in selection.include:
        if not any(Selection((pattern,)).matches(name) for name in listing.documents):
            yield f"--include {pattern}: no document has such a name."


def hashed_files(folder: Path, listing: Listing) -> Iterator[File | SkippedFile]:
    """Hash the listed documents' files in the order of their names; some cannot be documents.

    Raises:
        DatasetError: a part of the folder cannot be read.
    """
    _check_readable(folder, listing)
    for name in sorted(listing.documents):
        path = listing.documents[name]
        try:
            yield File(name, path, content_hash(_content(path, name), name))
        except DocumentError as error:
            yield SkippedFile(name, SkipReason.UNCONVERTIBLE, str(error))


def load_documents(
    folder: Path, skipped: OnSkip, selection: Selection = ALL_DOCUMENTS
) -> Iterator[Document]:
    """Read every document below a folder, ordered by name.

    `skipped` is called with one line for each file that cannot be converted.

    Raises:
        DatasetError: the folder is missing or contains no document, or a part of it cannot be read.
    """
    for file in scan_files(folder, skipped, selection):
        try:
            yield file.read()
        except DocumentError as error:
            skipped(str(SkippedFile(file.name, SkipReason.UNCONVERTIBLE, str(error))))


def _check_readable(folder: Path, listing: Listing) -> None:
    if listing.unreadable:
        name = min(listing.unreadable)
        more = len(listing.unreadable) - 1
        reason = listing.unreadable[name] + (f" (and {more:,} more)" if more else "")
        raise _unreadable(
            folder / name, reason, f"{escape(name)}*" if name.endswith("/") else escape(name)
        )


def _content(path: Path, name: str) -> bytes:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DocumentError("its name is not UTF-8; rename it") from error
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            check_size(before.st_size, MAX_DOCUMENT_BYTES)
            content = file.read(MAX_DOCUMENT_BYTES + 1)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(path, reason_of(error), escape(name)) from error
    check_size(len(content), MAX_DOCUMENT_BYTES)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(name)
    return content


def _unreadable(path: Path, reason: str, pattern: str) -> DatasetError:
    leave_out = f", or leave it out: --exclude '{printable(pattern)}'" if pattern else ""
    return DatasetError(
        f"Cannot read {printable(str(path))}: {reason}. Nothing was changed; restore it{leave_out}."
    )


def _changed(name: str) -> DatasetError:
    return DatasetError(f"{printable(name)} changed during the build. Run it again.")
