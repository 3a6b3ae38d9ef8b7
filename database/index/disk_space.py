"""Checks that a disk has room before something is written to it, and explains a disk that has none.

A limit of the size of files (`ulimit -f`) counts as a disk that is full.
"""

import math
import resource
import shutil
from collections.abc import Sequence, Sized
from pathlib import Path

from utils.errors import DiskFullError
from utils.settings import is_server

RESERVE_BYTES = 4 << 20
"""Free space that rows of documents never use: it is for locks, the states of jobs and SQLite's own
journal, without which nothing more can be recorded."""
BOOKKEEPING_BYTES = 1 << 20
"""Free space that small writes may not use either: Chroma's writes hang on a full disk."""
BYTES_PER_CHARACTER = 20
"""On disk, for each character of a document: its text in Chroma's log, in its table, and in an
index of all sequences of three characters, and its vectors. 18 measured for short chunks."""
BYTES_PER_NUMBER = 12
"""On disk, for each number of a vector: in Chroma's log, and in the graph with its spare room."""
_SIGNS = (
    *("is full", "No space left", "os error 28"),  # ENOSPC
    *("File too large", "os error 27"),  # EFBIG
    *("quota exceeded", "os error 122"),  # EDQUOT
)


def check_space(place: str | Path, needed: int = 0, reserve: int = RESERVE_BYTES) -> None:
    """Check that a disk has room for the bytes to be written, and for a reserve.

    Args:
        place: A file or folder, which need not exist yet; a server's address is ignored.
        needed: The bytes to be written.
        reserve: The bytes that must be left.

    Raises:
        DiskFullError: it has not; the message states how much must be freed.
    """
    if isinstance(place, str) and is_server(place):
        return
    missing = reserve + needed - available_bytes(Path(place))
    if missing > 0:
        raise _full(place, missing)


def space_error(place: str | Path, error: BaseException | None = None) -> DiskFullError | None:
    """The error of a write that failed, or hung, if the disk is the reason; None if it is not."""
    is_full = error is not None and any(sign in str(error) for sign in _SIGNS)
    if isinstance(place, str) and is_server(place):
        return _full_server(place) if is_full else None
    try:
        check_space(place)
    except DiskFullError as full:
        return full
    except OSError:
        return None
    # Someone has made room since, or a quota is exceeded, which the free space does not show.
    return _full(place, RESERVE_BYTES) if is_full else None


def row_bytes(texts: Sequence[str | None], vectors: Sequence[Sized] | None = None) -> int:
    """The estimated size of rows with these texts and vectors in an index."""
    numbers = sum(map(len, vectors or ()))
    return BYTES_PER_CHARACTER * sum(len(text or "") for text in texts) + BYTES_PER_NUMBER * numbers


def stored_bytes(database: str) -> int:
    """The size of an index folder; 0 for a server."""
    if is_server(database):
        return 0
    files = [file for file in Path(database).rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def available_bytes(place: Path) -> int:
    """The bytes that can be added to the disk, or to its largest file if that is less."""
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit == resource.RLIM_INFINITY:
        return free
    files = place.iterdir() if place.is_dir() else [place]
    return min(
        free, limit - max((file.stat().st_size for file in files if file.is_file()), default=0)
    )


def _full(place: str | Path, missing: int) -> DiskFullError:
    how = f"free {max(1, math.ceil(missing / 1e6))} MB"
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if limit != resource.RLIM_INFINITY:
        how += ", or raise the limit of the size of files (ulimit -f)"
    return DiskFullError(
        f"The disk of {place} is full: {how}, then run this again. What is stored there is intact.",
        detail=f"The operator must {how} on the disk of the index. Searches go on meanwhile; then "
        "send the change again.",
    )


def _full_server(address: str) -> DiskFullError:
    return DiskFullError(
        f"The disk of the Chroma server at {address} is full: free space, restart the server, then "
        "run this again. What is stored there is intact.",
        detail="The operator must free space on the disk of the Chroma server and restart it; then "
        "send the change again.",
    )
