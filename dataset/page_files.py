"""Writes generated and fetched files atomically, and counts what changed.

A file is written under a hidden temporary name in its own folder and moved into place, so that no
reader and no killed run leaves a partial file. What no fetch wrote is the user's own: it is neither
replaced nor deleted.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WriteOutcome = Literal["new", "changed", "unchanged"]
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp", re.DOTALL)
_MAX_BEGINNING = 16 * 1024
"""Bytes; longer than any frontmatter of a page."""
_MAX_NAMES = 5
"""Files of the user that are listed by name."""


@dataclass(frozen=True, slots=True)
class FileChanges:
    """How a run changed the files of one source."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    kept: tuple[str, ...] = ()
    """Files of the user in the places of pages, which are therefore not written."""

    @property
    def kept_line(self) -> str:
        """Names the user's files, of which there is at least one."""
        more = len(self.kept) - _MAX_NAMES
        names = ", ".join(self.kept[:_MAX_NAMES]) + (f" and {more:,} more" if more > 0 else "")
        return (
            f"kept, because this source did not write them: {names}. "
            "Move them away to fetch the pages"
        )

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


def is_users(path: Path, is_page: Callable[[bytes], bool]) -> bool:
    """True if there is something at a path which is not a page of the source, by its beginning.

    Also if a folder of the path is in fact a file.
    """
    try:
        if not path.is_file():
            place = nearest(path)
            return place == path or not place.is_dir()
        with path.open("rb") as file:
            return not is_page(file.read(_MAX_BEGINNING))
    except OSError:  # it may not be read
        return True


def nearest(path: Path) -> Path:
    """What there is at a path, else the lowest of its folders that there is."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def remove_temporary_files(folder: Path, pattern: str = ".*.tmp") -> None:
    """Delete the temporary files of a run that was killed."""
    for path in folder.glob(pattern):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)
