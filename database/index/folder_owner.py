"""Who may write an embedded index in place: the process that serves it, and only one.

Two processes that wrote one folder made it unreadable, so the first to write keeps a lock on it
that the operating system lets go of when the process ends, however it ends.
"""

import fcntl
import threading
from pathlib import Path
from typing import IO

from utils.errors import IndexLockedError
from utils.settings import is_server

_FILE = "served-by.lock"


class FolderOwner:
    """This process's claim to an index; a server's index needs none."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._held: IO[bytes] | None = None
        self._claiming = threading.Lock()  # the file's lock would keep out our own threads too

    def claim(self) -> None:
        """Become the one that writes, or stay it.

        Raises:
            IndexLockedError: another process is.
        """
        with self._claiming:
            if not self._held and not is_server(self._database):
                self._held = self._locked_file()

    def _locked_file(self) -> IO[bytes]:
        file = (Path(self._database) / _FILE).open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise IndexLockedError(
                f"Another process serves {self._database} and changes it. Send changes to that "
                "one, or have all use a Chroma server."
            ) from error
        return file

    def release(self) -> None:
        """Let another process be the one."""
        if self._held:
            self._held.close()
            self._held = None
