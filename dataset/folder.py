"""A folder of documents: finds the files that are documents, hashes and reads them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dataset.conversion.converter import check_size, format_of
from dataset.documents import MAX_DOCUMENT_BYTES, Document, content_hash, read_document
from utils.errors import DatasetError, DocumentError

_LICENSE_FILES = ("LICENSE", "LICENCE", "NOTICE", "COPYING")
"""Licence files, which are written next to the documents."""

OnSkip = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Selection:
    """Selects documents of a folder by name; all of them by default."""

    include: tuple[str, ...] = ()
    """Patterns of names (`*` also matches `/`); if there are any, a name must match one."""
    exclude: tuple[str, ...] = ()
    """Patterns of names to leave out; they take precedence over `include`."""

    def matches(self, name: str) -> bool:
        """True if the document is selected."""
        included = not self.include or any(fnmatchcase(name, one) for one in self.include)
        return included and not any(fnmatchcase(name, one) for one in self.exclude)


ALL_DOCUMENTS = Selection()


@dataclass(frozen=True, slots=True)
class File:
    """A document's file, not converted yet."""

    name: str
    path: Path
    content_hash: str

    def read(self) -> Document:
        """Read it as a document.

        Raises:
            DocumentError: it cannot be read as one.
            DatasetError: its content changed since it was hashed.
        """
        content = _content(self.path, self.name)
        if content_hash(content, self.name) != self.content_hash:
            raise DatasetError(f"{self.name} changed during the build. Run it again.")
        return read_document(content, self.name)


def document_paths(folder: Path, selection: Selection = ALL_DOCUMENTS) -> list[Path]:
    """List the documents' files below a folder by name, without hidden ones.

    Raises:
        DatasetError: the folder is missing or contains no document.
    """
    if not folder.is_dir():
        raise DatasetError(
            f"No dataset folder at {folder}. Fetch the documentation: python -m dataset.fetch"
        )
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    names = [name for name in sorted(paths) if _may_be_document(name)]
    found = [paths[name] for name in names if selection.matches(name) and paths[name].is_file()]
    if not found and selection != ALL_DOCUMENTS:
        one = f", as {names[0]}" if names else ""
        raise DatasetError(
            f"--include and --exclude leave no document of {folder}. They match names, which are "
            f"paths below it{one}."
        )
    if not found:
        raise DatasetError(
            f"No document in {folder}. Fetch the documentation: python -m dataset.fetch"
        )
    return found


def _may_be_document(name: str) -> bool:
    parts = name.split("/")
    return (
        format_of(name) is not None
        and not any(part.startswith(".") for part in parts)
        and not parts[-1].startswith(_LICENSE_FILES)
    )


def has_documents(folder: Path) -> bool:
    """True if the folder contains a document."""
    try:
        return bool(document_paths(folder))
    except DatasetError:
        return False


def scan_files(
    folder: Path, skipped: OnSkip, selection: Selection = ALL_DOCUMENTS
) -> Iterator[File]:
    """Hash every document's file below a folder, ordered by name.

    `skipped` is called with one line for each file that cannot be read.

    Raises:
        DatasetError: the folder is missing or contains no document.
    """
    paths = {
        path.relative_to(folder).as_posix(): path for path in document_paths(folder, selection)
    }
    for pattern in selection.include:
        if not any(fnmatchcase(name, pattern) for name in paths):
            skipped(f"--include {pattern}: no document has such a name.")
    for name, path in paths.items():
        try:
            yield File(name, path, content_hash(_content(path, name), name))
        except DocumentError as error:
            skipped(skipped_line(name, error))


def load_documents(
    folder: Path, skipped: OnSkip, selection: Selection = ALL_DOCUMENTS
) -> Iterator[Document]:
    """Read every document below a folder, ordered by name.

    `skipped` is called with one line for each file that cannot be read as a document.

    Raises:
        DatasetError: the folder is missing or contains no document.
    """
    for file in scan_files(folder, skipped, selection):
        try:
            yield file.read()
        except DocumentError as error:
            skipped(skipped_line(file.name, error))


def skipped_line(name: str, error: DocumentError) -> str:
    """The message for a file that is skipped."""
    return f"Skipped {name.encode(errors='replace').decode()}: {error}"


def _content(path: Path, name: str) -> bytes:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DocumentError("its name is not UTF-8; rename it") from error
    try:
        check_size(path.stat().st_size, MAX_DOCUMENT_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"cannot be read ({error.strerror})") from error
