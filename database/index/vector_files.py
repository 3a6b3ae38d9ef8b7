"""The files in which an embedded Chroma keeps a collection's vectors: a folder for each.

Chroma makes them with room for more rows, and writes that room as the memory of its process
happened to be: it may hold text of any document, deleted ones too.
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
"""Of header.bin: its version, an offset, places for rows, rows, bytes a row."""
_VERSION = 1
_LENGTH_BYTES = 4
"""Of a row in length.bin."""
_TIMEOUT = 60.0

_LIST_SEGMENTS = """
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1], uri=True).execute("SELECT id FROM segments")
print(*(row[0] for row in rows))
"""


def segment_folders(database: str) -> list[Path]:
    """The folders of vectors in an embedded index, those of deleted collections too."""
    return [path for path in Path(database).iterdir() if _is_segment(path)]


def _is_segment(path: Path) -> bool:
    try:
        canonical = str(uuid.UUID(path.name))
    except ValueError:
        return False
    return path.name == canonical and path.is_dir() and not path.is_symlink()


def remove_orphaned_folders(database: str) -> int:
    """Remove what Chroma leaves of deleted collections in an embedded folder; says of how many.

    Their vectors and ids lie there for ever otherwise. A server's folder is not in reach.

    Args:
        database: The caller is the one process that writes it.
    """
    if is_server(database):
        return 0
    # Before the table is read: a collection that is made meanwhile is in there first.
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
                log.warning("A deleted collection's folder stays: %s", error)
            else:
                removed += 1
    return removed


def _segments(database: str) -> set[str]:
    """The segments of all collections; none where that cannot be read.

    Read by another process. Were the file closed in this one, which has it open in Chroma's own
    SQLite, the operating system would drop the locks of that, and two could write at once.
    """
    address = (Path(database).resolve() / "chroma.sqlite3").as_uri() + "?mode=ro"
    command = [sys.executable, "-I", "-c", _LIST_SEGMENTS, address]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and words
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
    except subprocess.SubprocessError as error:
        log.warning("Folders of deleted collections stay (%s).", type(error).__name__)
        return set()
    return set(done.stdout.split())


def zero_unused_rows(database: str) -> int:
    """Write zeros where no row is yet; says in how many collections' files.

    Args:
        database: The caller is the one process that writes it, and holds its lock: no collection
            may be saved to its files meanwhile. A server's folder is not in reach.
    """
    if is_server(database):
        return 0
    return sum(_blank(folder) for folder in segment_folders(database))


def _blank(folder: Path) -> bool:
    try:
        with (folder / "header.bin").open("rb") as file:
            version, _, places, rows, row_bytes = _HEADER.unpack(file.read(_HEADER.size))
    except (OSError, struct.error):
        return False
    files = {folder / "data_level0.bin": row_bytes, folder / "length.bin": _LENGTH_BYTES}
    # What is laid out in another way is left alone.
    if version != _VERSION or not all(
        each and rows * each <= _size(path) <= places * each for path, each in files.items()
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
