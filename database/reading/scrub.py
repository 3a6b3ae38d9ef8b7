"""Finds damage to an index while it is served, by reading it again as it is stored."""

import logging
import signal
import subprocess
import sys
import time

from database.index.connection import damaged_index_error
from database.index.store import Store
from database.reading.verification import DAMAGED, verify_stored
from utils.errors import IndexDamagedError
from utils.settings import PROJECT_ROOT, is_server

log = logging.getLogger(__name__)

_SHARE = 0.1
"""Of the time of this process and the server's that reading from a server may take."""
_TIMEOUT = 1800.0
_DAMAGE = {DAMAGED, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE}
"""Exit statuses; SIGKILL is none, which the system sends for lack of memory."""
_ATTEMPTS = 2
"""Damage must be found as often in a row: a row deleted while it is read looks like damage once."""


def find_damage(store: Store) -> IndexDamagedError | None:
    """Read the live index again; None if it is as it was written, or cannot be read at present.

    Raises:
        StoreUnreachableError: the server does not answer.
    """
    read = _read_server if is_server(store.database) else _read_folder
    for _ in range(_ATTEMPTS):
        damage = read(store)
        if damage is None:
            return None
    return damage


def _read_server(store: Store) -> IndexDamagedError | None:
    try:
        verify_stored(store, pause=lambda seconds: time.sleep(seconds / _SHARE - seconds))
    except IndexDamagedError as error:
        return error
    return None


def _read_folder(store: Store) -> IndexDamagedError | None:
    """Read an embedded index in a process of its own, at the lowest priority."""
    command = [sys.executable, "-m", "database.reading.verification", store.database]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            command, cwd=PROJECT_ROOT, capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        log.warning("The index could not be verified (%s)", type(error).__name__)
        return None
    if done.returncode in _DAMAGE:
        how = "is damaged: its files differ from those written"
        return damaged_index_error(store.database, how)
    if done.returncode:
        log.warning("The index could not be verified (status %d)", done.returncode)
    return None
