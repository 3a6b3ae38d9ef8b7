"""Chroma's vector files: one folder per collection.

Chroma allocates the files with room for more rows and writes that room from uninitialized memory,
which may contain text of any document, deleted ones included.
"""

import logging
import shutil
import struct
import subprocess
import sys
import uuid
from pathlib import Path

from utils.settings import is_server

log = logging.getLogger(__name__)

_HEADER = struct.Struct("<iQQQQ")
"""header.bin: version, offset, capacity in rows, rows, bytes per row."""
_VERSION = 1
_LENGTH_BYTES = 4
"""Bytes per row of length.bin."""
_TIMEOUT = 60.0

_LIST_SEGMENTS = """
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1], uri=True).execute("SELECT id FROM segments")
print(*(row[0] for row in rows))
"""


def segment_folders(database: str) -> list[Path]:
    """The vector folders of an embedded index, those of deleted collections included."""
    return [path for path in Path(database).iterdir() if _is_segment(path)]


def _is_segment(path: Path) -> bool:
    try:
        canonical = str(uuid.UUID(path.name))
    except ValueError:
        return False
    return path.name == canonical and path.is_dir() and not path.is_symlink()


def remove_orphaned_folders(database: str) -> int:
    """Remove the vector folders of deleted collections; returns how many.

    Args:
        database: An index folder that no other process writes; a server's address is ignored.
    """
    if is_server(database):
        return 0
    # Listed before the table is read: a new collection is in the table before it has a folder.
    folders = segment_folders(database)
    used = _segments(database) if folders else set()
    if not used:
        return 0
    removed = 0
    for folder in folders:
        if folder.name not in used:
            try:
                shutil.rmtree(folder)
            except OSError as error:
                log.warning("Cannot remove a deleted collection's folder: %s", error)
            else:
                removed += 1
    return removed


def _segments(database: str) -> set[str]:
    """The ids of all collections' segments; none if they cannot be read.

    Read in a child process: closing the file in this process, in which Chroma's SQLite has it open,
    would release SQLite's POSIX locks, and two processes could write at once.
    """
    address = (Path(database).resolve() / "chroma.sqlite3").as_uri() + "?mode=ro"
    command = [sys.executable, "-I", "-c", _LIST_SEGMENTS, address]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and code
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
    except subprocess.SubprocessError as error:
        log.warning("Cannot look for folders of deleted collections (%s).", type(error).__name__)
        return set()
    return set(done.stdout.split())


def zero_unused_rows(database: str) -> int:
    """Overwrite the unused room of the vector files with zeros; returns the number of collections.

    Args:
        database: An index folder that no other process writes and whose lock the caller holds: no
            collection may be written to its files in the meantime. A server's address is ignored.
    """
    if is_server(database):
        return 0
    return sum(_zero_unused(folder) for folder in segment_folders(database))


def _zero_unused(folder: Path) -> bool:
    try:
        with (folder / "header.bin").open("rb") as file:
            version, _, capacity, rows, row_bytes = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return False
    files = {folder / "data_level0.bin": row_bytes, folder / "length.bin": _LENGTH_BYTES}
    # Files of an unknown layout are left unchanged.
    if version != _VERSION or not all(
        each and rows * each <= _size(path) <= capacity * each for path, each in files.items()
    ):
        return False
    for path, each in files.items():
        unused = _size(path) - rows * each
        with path.open("r+b") as opened:
            opened.seek(rows * each)
            opened.write(bytes(unused))
    return True


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() and not file.is_symlink() else -1
