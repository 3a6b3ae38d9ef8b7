"""Generated and fetched files on disk: written whole or not at all, and counted.

A file is written under a hidden temporary name in its own folder and moved into place, so that
nobody reads half of one and a killed run spoils nothing.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

WriteOutcome = Literal["new", "changed", "unchanged", "removed"]


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What a run did to the files of one source."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0

    @classmethod
    def count(cls, outcomes: Counter[WriteOutcome]) -> Self:
        """Sum up the outcomes of the single files."""
        return cls(**{str(outcome): number for outcome, number in outcomes.items()})

    @property
    def present(self) -> int:
        """How many files of the source are there now."""
        return self.new + self.changed + self.unchanged

    def __str__(self) -> str:
        return (
            f"{self.present} pages: {self.new} new, {self.changed} changed, "
            f"{self.unchanged} unchanged, {self.removed} removed"
        )


def write_atomically(path: Path, content: bytes) -> WriteOutcome:
    """Put the content at the path, unless it is there already."""
    before = path.read_bytes() if path.is_file() else None
    if before == content:
        return "unchanged"
    # An ordinary open, unlike tempfile's, gives the file the umask's mode: others may read it.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return "new" if before is None else "changed"


def remove_temporary_files(folder: Path) -> None:
    """Delete the temporary files of a run that was killed."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)
