"""Counters: numbers under keys, which grow and expire; in memory or in a file."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from cachetools import LRUCache

from utils.errors import SettingsError

log = logging.getLogger(__name__)

MAX_KEYS = 100_000
"""In memory, after which the one that was used least recently is forgotten."""
_LOCK_SECONDS = 5.0
"""How long to wait for another process that writes the file."""


class Change(NamedTuple):
    """What is added to a counter, which may be nothing."""

    key: str
    amount: int
    seconds: int
    """How long the counter is kept, at least."""


class Counters(Protocol):
    """Counters of one service, or of several that share them."""

    async def add(self, changes: Sequence[Change]) -> list[int]:
        """Change counters; return their values afterwards."""

    async def aclose(self) -> None:
        """Release connections."""


class MemoryCounters:
    """Counters of this process, which end with it."""

    def __init__(self) -> None:
        self._values: LRUCache[str, int] = LRUCache(MAX_KEYS)

    def __len__(self) -> int:
        return len(self._values)

    async def add(self, changes: Sequence[Change]) -> list[int]:
        """Change counters; return their values afterwards."""
        values = []
        for key, amount, _ in changes:
            value = self._values.get(key, 0) + amount
            if amount:
                self._values[key] = value
            values.append(value)
        return values

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""


class FileCounters:
    """Counters in a SQLite file, which several processes may use, and which outlast them.

    While the file cannot be written, as on a full disk, the changes are kept in memory; the next
    one that succeeds writes them too.
    """

    def __init__(self, path: Path) -> None:
        """Create the file if it is missing.

        Raises:
            SettingsError: it cannot be written.
        """
        self._path = path
        self._known: dict[str, int] = {}
        """Values in the file, when they were last read."""
        self._unwritten: dict[str, Change] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connected() as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS counters "
                    "(key TEXT PRIMARY KEY, value INTEGER NOT NULL, expires REAL NOT NULL)"
                )
                connection.execute("DELETE FROM counters WHERE expires < ?", [time.time()])
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"TOKEN_BUDGET_FILE: cannot write {path}: {reason}.") from None

    async def add(self, changes: Sequence[Change]) -> list[int]:
        """Change counters; return their values afterwards."""
        unwritten = list(self._unwritten.values())
        self._unwritten = {}
        try:
            values = await asyncio.to_thread(self._add, [*unwritten, *changes])
        except sqlite3.Error as error:
            if not unwritten:
                message = "TOKEN_BUDGET_FILE: cannot write %s: %s. Counting in memory"
                log.error(message, self._path, error)  # noqa: TRY400 - one line
            return self._kept([*unwritten, *changes])[len(unwritten) :]
        values = values[len(unwritten) :]
        self._known |= {each.key: value for each, value in zip(changes, values, strict=True)}
        return values

    def _kept(self, changes: Sequence[Change]) -> list[int]:
        """Keep changes until they can be written; the values with them."""
        values = []
        for key, amount, seconds in changes:
            before = self._unwritten.get(key, Change(key, 0, 0))
            self._unwritten[key] = Change(key, before.amount + amount, seconds)
            values.append(self._known.get(key, 0) + self._unwritten[key].amount)
        return values

    def _add(self, changes: Sequence[Change]) -> list[int]:
        values = []
        with self._connected() as connection:
            for key, amount, seconds in changes:
                if amount:
                    connection.execute(
                        "INSERT INTO counters VALUES (?, ?, ?) ON CONFLICT (key) "
                        "DO UPDATE SET value = value + excluded.value",
                        [key, amount, time.time() + seconds],
                    )
                row = connection.execute("SELECT value FROM counters WHERE key = ?", [key])
                values.append(int((row.fetchone() or (0,))[0]))
        return values

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection, and a transaction; durable when it ends."""
        connection = sqlite3.connect(self._path, timeout=_LOCK_SECONDS)
        with closing(connection), connection:
            yield connection

    async def aclose(self) -> None:
        """Do nothing: no connection is kept."""
