"""Writes generated and fetched files atomically, and counts what changed.

A file is written under a hidden temporary name in its own folder and moved into place, so that no
reader and no killed run leaves a partial file.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WriteOutcome = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How a run changed the files of one source."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0

    @property
    def present(self) -> int:
        """Number of files of the source after the run."""
        return self.new + self.changed + self.unchanged

    def __str__(self) -> str:
        return (
            f"{self.present} pages: {self.new} new, {self.changed} changed, "
            f"{self.unchanged} unchanged, {self.removed} removed"
        )


def write_atomically(path: Path, content: bytes) -> WriteOutcome:
    """Write the content atomically, unless the file already has it."""
    before = path.read_bytes() if path.is_file() else None
    if before == content:
        return "unchanged"
    # Not tempfile, which ignores the umask: other users may read the documents.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return "new" if before is None else "changed"


def remove_temporary_files(folder: Path, pattern: str = ".*.tmp") -> None:
    """Delete the temporary files of a run that was killed."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
