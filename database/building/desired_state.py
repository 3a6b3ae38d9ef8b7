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
from dataset.folder import File, OnSkip, Selection, scan_files, skipped_line
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
    skipped: OnSkip

    @property
    def contents(self) -> dict[str, str]:
        """Document name to content hash."""
        named = {name: file.content_hash for name, file in self.files.items()}
        return named | {name: entry.content_hash for name, entry in self.uploaded.items()}

    def documents(self, names: Collection[str]) -> Iterator[Document]:
        """Read some of the documents, sorted by name; files that are no documents are skipped.

        Raises:
            DatasetError: a file has changed since it was listed.
        """
        for name in sorted(names):
            if name in self.uploaded:
                yield self.read_upload(self.uploaded[name])
                continue
            try:
                yield self.files[name].read()
            except DocumentError as error:
                self.skipped(skipped_line(name, error))


def read_desired_state(
    store: Store, folder: Path, selection: Selection, skipped: OnSkip
) -> DesiredState:
    """Read the desired state from a folder and the journal; the caller holds the lock.

    Raises:
        DatasetError: the folder is missing or contains no document.
    """
    recover_in_other_process(store)
    uploads = Uploads(store)
    live = store.live()
    changed = uploads.current(live) if live else {}
    found = {file.name: file for file in scan_files(folder, skipped, selection)}
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
