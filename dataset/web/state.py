"""The state of web pages between runs (SQLite): lists that name them, files, HTTP validators.

Each page has its own transaction: a killed run loses at most the page in progress. A page's row is
written before its file, so that every file has a row.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from dataset.web.file_names import file_of, folded
from dataset.web.http.addresses import host_of
from dataset.web.http.responses import Validators
from utils.errors import DatasetError

NAME = ".state.sqlite"
LOCK = ".lock"
"""The file beside the state that a fetch holds a lock on."""
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE pages (
    url TEXT PRIMARY KEY, host TEXT NOT NULL, asked TEXT NOT NULL DEFAULT '',
    final TEXT NOT NULL DEFAULT '', file TEXT, folded TEXT UNIQUE,
    answered TEXT NOT NULL DEFAULT '', etag TEXT NOT NULL DEFAULT '',
    modified TEXT NOT NULL DEFAULT '', content TEXT NOT NULL DEFAULT '',
    written TEXT NOT NULL DEFAULT '', version TEXT NOT NULL DEFAULT '',
    status INTEGER NOT NULL DEFAULT 0, fetched TEXT NOT NULL DEFAULT '',
    checked TEXT NOT NULL DEFAULT '', tried INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0);
CREATE INDEX pages_of_host ON pages (host);
CREATE INDEX pages_by_final ON pages (final);
CREATE TABLE named (
    list TEXT, url TEXT, changed TEXT NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (list, url)) WITHOUT ROWID;
CREATE INDEX named_by_url ON named (url, run);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True, slots=True)
class PageRecord:
    """The stored state of a page; "" for what is unknown."""

    url: str
    """As the lists name it, normalized."""
    asked: str
    """The address requested last, which may be another form of the page."""
    final: str
    """The address for readers, after redirects."""
    file: str | None
    """Below the state's folder; None if it has none yet, or is a duplicate of another page."""
    answered: str
    """The address that responded with it."""
    etag: str
    modified: str
    content: str
    """Hash of title, address and text."""
    written: str
    """Hash of the file's bytes."""
    version: str
    """Version of the conversion."""
    checked: str
    """When its host last confirmed this content (ISO 8601, UTC)."""

    @property
    def validators(self) -> Validators:
        """The validators for a conditional request."""
        return Validators(self.answered, self.etag, self.modified)


class WebState:
    """The web pages in one folder, and the lists that name them, during one run."""

    def __init__(self, connection: sqlite3.Connection, root: str = "") -> None:
        self._db = connection
        self._root = root
        last = connection.execute(
            "SELECT max((SELECT ifnull(max(run), 0) FROM named),"
            " (SELECT ifnull(max(tried), 0) FROM pages))"
        )
        self.run = int(last.fetchone()[0]) + 1
        """The number of this run."""

    @classmethod
    def open(cls, folder: Path, root: str = "") -> Self:
        """Open the state in the folder of the pages; create it if it is missing.

        The files of pages below the address `root` are named relative to it.

        Raises:
            DatasetError: it cannot be read.
        """
        path = folder / NAME
        try:
            connection = sqlite3.connect(path, isolation_level=None)
            # Only a crash of the machine can damage the file, which the check below detects.
            connection.execute("PRAGMA synchronous = OFF")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("it is damaged")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        except sqlite3.Error as error:
            raise DatasetError(
                f"Cannot read {path}: {error}. Delete it: all pages are then fetched again."
            ) from error
        if version not in (0, _VERSION):
            raise DatasetError(
                f"{path} is of another version of this project. Delete it: all pages are then "
                "fetched again."
            )
        return cls(connection, root)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add_named(self, list_name: str, pages: Iterable[tuple[str, str]]) -> None:
        """Note that a list names pages, given by address and date of change ("" if unknown)."""
        with self.transaction():
            for url, changed in pages:
                self._db.execute(
                    "INSERT INTO named VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET changed = excluded.changed, run = excluded.run",
                    (list_name, url, changed, self.run),
                )
                self._db.execute(
                    "INSERT OR IGNORE INTO pages (url, host) VALUES (?, ?)", (url, host_of(url))
                )

    def count(self, list_name: str, *, in_this_run: bool = False) -> int:
        """Count the pages that a list names, in this run or in all."""
        sql = "SELECT count(*) FROM named WHERE list = ? AND run >= ?"
        found = self._db.execute(sql, (list_name, self.run if in_this_run else 0))
        return int(found.fetchone()[0])

    def pages_by_host(self) -> dict[str, int]:
        """Count the pages that this run's lists name, by host."""
        return dict(
            self._db.execute(
                "SELECT host, count(*) FROM pages WHERE url IN"
                " (SELECT url FROM named WHERE run = ?) GROUP BY host ORDER BY host",
                (self.run,),
            )
        )

    def due(self, host: str) -> list[tuple[str, str]]:
        """The next pages of a host to fetch, with the newest date in any list.

        Those never fetched are first, so that a run continues where the last one ended.
        """
        return self._db.execute(
            "SELECT url, (SELECT max(changed) FROM named"
            " WHERE named.url = pages.url AND run = ?) AS newest FROM pages"
            " WHERE host = ? AND tried <> ? AND newest IS NOT NULL"
            " ORDER BY checked, rowid LIMIT 100",
            (self.run, host, self.run),
        ).fetchall()

    def record(self, url: str) -> PageRecord:
        """The stored state of a page that a list names."""
        columns = ", ".join(field.name for field in fields(PageRecord))
        sql = f"SELECT {columns} FROM pages WHERE url = ?"  # noqa: S608  # ours alone
        return PageRecord(*self._db.execute(sql, (url,)).fetchone())

    def claim(self, record: PageRecord, final: str) -> str | None:
        """Assign a page its file; None for a duplicate of another page.

        Of several addresses that lead to one page, its own keeps the file if a list names it, else
        the first.
        """
        with self.transaction():
            other = self._db.execute(
                "SELECT url, file FROM pages WHERE url <> ? AND ((final = ? AND file IS NOT NULL)"
                " OR (url = ? AND EXISTS (SELECT 1 FROM named WHERE named.url = pages.url"
                " AND run = ?))) ORDER BY file IS NULL LIMIT 1",
                (record.url, final, final, self.run),
            ).fetchone()
            if other and final != record.url:
                self._replace_by(record, final, other)
                return None
            if record.file:
                return record.file
            if other and other[1]:
                self._hand_over(other[0], record.url)
                return str(other[1])
            return self._reserve(record.url, final)

    def release(self, url: str) -> None:
        """Forget which file a page has."""
        self.update(url, file=None, folded=None)

    def update(self, url: str, **columns: str | int | None) -> None:
        """Update columns of a page."""
        names = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE pages SET {names} WHERE url = ?"  # noqa: S608  # ours alone
        self._db.execute(sql, (*columns.values(), url))

    def gone(self) -> list[tuple[str, int, int]]:
        """Hosts with pages that vanished in this run: their number, and the number of files."""
        return self._db.execute(
            "SELECT host, sum(gone = ?), count(*) FROM pages WHERE file IS NOT NULL"
            " GROUP BY host HAVING sum(gone = ?) > 0",
            (self.run, self.run),
        ).fetchall()

    def restore(self, host: str) -> None:
        """Undo that pages of a host have vanished."""
        self._db.execute("UPDATE pages SET gone = 0 WHERE host = ?", (host,))

    def forget_previous(self, list_name: str) -> None:
        """Forget what a list named in earlier runs; only valid if it was read completely."""
        self._db.execute("DELETE FROM named WHERE list = ? AND run <> ?", (list_name, self.run))

    def removable(self) -> list[tuple[str, str, str | None]]:
        """Address, final address and file of pages to remove: vanished, or named by no list."""
        return self._db.execute(
            "SELECT url, final, file FROM pages WHERE gone = ? OR NOT EXISTS"
            " (SELECT 1 FROM named WHERE named.url = pages.url)",
            (self.run,),
        ).fetchall()

    def forget(self, url: str) -> None:
        """Delete a page's row."""
        self._db.execute("DELETE FROM pages WHERE url = ?", (url,))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all writes together, or none."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield

    def _replace_by(self, record: PageRecord, final: str, other: tuple[str, str | None]) -> None:
        """Make a page a duplicate of another, which takes over its file, or the file is removed."""
        if record.file and (record.final != final or other[1]):
            self.update(record.url, etag="", modified="", gone=self.run)
            return
        if record.file:
            self._hand_over(record.url, other[0])
        self.update(record.url, final=final)

    def _hand_over(self, giver: str, taker: str) -> None:
        file = self._db.execute("SELECT file FROM pages WHERE url = ?", (giver,)).fetchone()[0]
        self._db.execute(
            "UPDATE pages SET file = NULL, folded = NULL, etag = '', modified = '', content = ''"
            " WHERE url = ?",
            (giver,),
        )
        self._db.execute(
            "UPDATE pages SET file = ?, folded = ? WHERE url = ?", (file, folded(file), taker)
        )

    def _reserve(self, url: str, final: str) -> str:
        for unique in (False, True):
            file = file_of(final, root=self._root, unique=unique)
            sql = "SELECT url FROM pages WHERE folded = ?"
            taken = self._db.execute(sql, (folded(file),)).fetchone()
            if taken and not taken[0].startswith(self._root):
                # The same page of another mirror.
                self._hand_over(taken[0], url)
                break
            if not taken:
                break
        self.update(url, file=file, folded=folded(file), final=final)
        return file
