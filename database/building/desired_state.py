"""What an index is to hold: the folder's documents, and what came through the API.

The API goes first: what was put there replaces the folder's document of the same name, and what was
deleted there stays away although the folder has it.
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
    """The documents that an index is to hold, not read yet."""

    folder: Path
    files: Mapping[str, File]
    uploaded: Mapping[str, JournalEntry]
    left_out: tuple[str, ...]
    """The folder's documents that were deleted through the API."""
    read_upload: Callable[[JournalEntry], Document]
    skipped: OnSkip

    @property
    def contents(self) -> dict[str, str]:
        """The content hash of each document."""
        named = {name: file.content_hash for name, file in self.files.items()}
        return named | {name: entry.content_hash for name, entry in self.uploaded.items()}

    def documents(self, names: Collection[str]) -> Iterator[Document]:
        """Read some of them, in the order of their names; what is none after all is left out.

        Raises:
            DatasetError: a file is no longer what it was.
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
    """Tell what an index made from a folder is to hold; the caller holds the lock.

    Raises:
        DatasetError: the folder is missing or holds no document.
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
