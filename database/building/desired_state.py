"""The documents that an index must contain: the folder's, plus the changes made through the API.

The API takes precedence: a document added there replaces the folder's of the same name, and one
deleted there is left out although the folder contains it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from database.index.store import Store
from database.journal.recovery import recover_in_other_process
from database.journal.uploads import JournalEntry, Uploads
from dataset.documents import Document
from dataset.folder import File, OnSkip, hashed_files, listed_documents, unmatched_patterns
from dataset.listing import Selection
from dataset.skipped import SkippedFile, SkipReason
from utils.errors import DocumentError


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The documents that an index must contain; their texts are not read yet."""

    folder: Path
    files: Mapping[str, File]
    uploaded: Mapping[str, JournalEntry]
    left_out: tuple[str, ...]
    """Documents of the folder that were deleted through the API."""
    read_upload: Callable[[JournalEntry], Document]
    skipped: list[SkippedFile]
    """The folder's files that are no documents; grows as they are read."""

    @property
    def contents(self) -> dict[str, str]:
        """Document name to content hash."""
        named = {name: file.content_hash for name, file in self.files.items()}
        return named | {name: entry.content_hash for name, entry in self.uploaded.items()}

    @property
    def unconvertible(self) -> list[SkippedFile]:
        """The files that cannot be converted, as far as they have been read."""
        return [one for one in self.skipped if one.reason == SkipReason.UNCONVERTIBLE]

    def documents(self, names: Collection[str]) -> Iterator[Document]:
        """Read some of the documents, sorted by name; files that are no documents are skipped.

        Raises:
            DatasetError: a file cannot be read, or has changed since it was listed.
        """
        for name in sorted(names):
            if name in self.uploaded:
                yield self.read_upload(self.uploaded[name])
                continue
            try:
                yield self.files[name].read()
            except DocumentError as error:
                self.skipped.append(SkippedFile(name, SkipReason.UNCONVERTIBLE, str(error)))


def read_desired_state(
    store: Store, folder: Path, selection: Selection, report: OnSkip, *, folder_only: bool = False
) -> DesiredState:
    """Read the desired state from a folder and the journal; the caller holds the lock.

    Args:
        store: Has the journal.
        folder: The documents.
        selection: Selects some of them.
        report: Called with a line for each pattern that selects none.
        folder_only: Ignore the journal.

    Raises:
        DatasetError: the folder is missing or contains no document, or a part of it cannot be read.
    """
    recover_in_other_process(store)
    uploads = Uploads(store)
    live = store.live()
    changed = uploads.current(live) if live and not folder_only else {}
    listing = listed_documents(folder, selection)
    for line in unmatched_patterns(listing, selection):
        report(line)
    found: dict[str, File] = {}
    skipped = listing.skipped
    for file in hashed_files(folder, listing):
        if isinstance(file, File):
            found[file.name] = file
        else:
            skipped.append(file)
    return DesiredState(
        folder=folder,
        files={name: file for name, file in found.items() if name not in changed},
        uploaded={name: entry for name, entry in changed.items() if not entry.is_deletion},
        left_out=tuple(
            name for name in sorted(found.keys() & changed) if changed[name].is_deletion
        ),
        read_upload=uploads.document,
        skipped=skipped,
    )
