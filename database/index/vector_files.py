"""The files in which an embedded Chroma keeps a collection's vectors: a folder for each.

Chroma makes them with room for more rows, and writes that room as the memory of its process
happened to be: it may hold text of any document, deleted ones too.
"""

import struct
import uuid
from pathlib import Path

from utils.settings import is_server

_HEADER = struct.Struct("<iQQQQ")
"""Of header.bin: its version, an offset, places for rows, rows, bytes a row."""
_VERSION = 1
_LENGTH_BYTES = 4
"""Of a row in length.bin."""


def segment_folders(database: str) -> list[Path]:
    """The folders of vectors in an embedded index, those of deleted collections too."""
    return [path for path in Path(database).iterdir() if _is_segment(path)]


def _is_segment(path: Path) -> bool:
    try:
        canonical = str(uuid.UUID(path.name))
    except ValueError:
        return False
    return path.name == canonical and path.is_dir() and not path.is_symlink()


def blank_unused_rows(database: str) -> int:
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
