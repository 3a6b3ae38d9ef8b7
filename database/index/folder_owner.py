"""Restricts writing an embedded index in place to one process, the one that serves it.

Two processes writing one folder damage it, so the first one keeps a lock on a file in it. The
operating system releases this lock when the process ends in any way, and enforces it across PID
namespaces.
"""

import fcntl
import threading
from pathlib import Path
from typing import IO, Self

from utils.errors import IndexLockedError
from utils.settings import is_server

_FILE = "served-by.lock"


class FolderOwner:
    """This process's claim to write an index folder; a server needs none."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._file: IO[bytes] | None = None
        self._claiming = threading.Lock()  # a second flock would fail in our own process too

    def claim(self) -> None:
        """Claim the folder, or keep the claim.

        Raises:
            IndexLockedError: another process has claimed it.
        """
        with self._claiming:
            if self._file or is_server(self._database):
                return
            file = (Path(self._database) / _FILE).open("wb")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.close()
                raise IndexLockedError(
                    f"Another process serves {self._database} and changes it. Send changes to that "
                    "process, or use a Chroma server for all.",
                    detail="Another service changes this index. Send changes to that service; this "
                    "one follows them. If it has ended, try again.",
                ) from error
            self._file = file

    def __enter__(self) -> Self:
        """Claim the folder."""
        self.claim()
        return self

    def __exit__(self, *error: object) -> None:
        """Release the claim."""
        self.release()

    def release(self) -> None:
        """Release the claim."""
        if self._file:
            self._file.close()
            self._file = None
