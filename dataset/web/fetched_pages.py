"""Lists the pages that earlier runs fetched into a folder, by its state; nothing without one.

All functions raise DatasetError if the state cannot be read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dataset.web.state import NAME
from utils.errors import DatasetError


def checked_pages(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield file, address and time of the last check of each page."""
    yield from _read_state(folder, "SELECT file, final, checked FROM pages WHERE file <> ''")


def fetched_files(folder: Path) -> dict[str, str]:
    """The fetched files in a folder, each with the time of its last check."""
    pages = checked_pages(folder)
    return {file: checked for file, _, checked in pages if checked and _is_file(folder / file)}


def unfetched_pages(folder: Path) -> Iterator[str]:
    """Yield the addresses of listed pages that have never been fetched."""
    for (url,) in _read_state(folder, "SELECT url FROM pages WHERE checked = ''"):
        yield url


def _is_file(path: Path) -> bool:
    """True for a file; also False for one that may not be looked at."""
    with suppress(OSError):
        return path.is_file()
    return False


def _read_state(folder: Path, sql: str) -> Iterator[Any]:
    path = folder / NAME
    if not _is_file(path):
        return
    try:
        # Only a writable connection can roll back what a killed run left unfinished.
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
            yield from connection.execute(sql)
    except sqlite3.Error as error:
        raise DatasetError(
            f"Cannot read {path}: {error}. Wait if another fetch is running; if it is damaged, "
            "delete it: all pages are then fetched again."
        ) from error
