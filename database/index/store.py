"""The Chroma store, embedded or a server: which collections exist and which one is live.

A small collection named `pointer` records in its metadata which collection readers use. One
metadata write moves it, so no reader ever sees a half-written index.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.index.connection import (
    damaged_index_error,
    missing_index_error,
    open_folder,
    open_server,
    translate_chroma_errors,
)
from database.index.fingerprint import Fingerprint, InPlaceChange
from database.index.live_pointer import LivePointer
from utils.errors import IndexDamagedError
from utils.settings import Settings, is_server, load_settings

if TYPE_CHECKING:
    import httpx
    from chromadb import Collection
    from chromadb.api import ClientAPI

    from database.index.isolation.isolated_store import IsolatedStore

POINTER = "pointer"
INDEX_PREFIX = "index-"
NEVER_SYNC = 1_000_000
"""sync_threshold of every collection that is written in place. Chroma rewrites a collection's HNSW
files in place each time this many writes have arrived, and a kill during that write destroys them.
Below the threshold the rows are only in Chroma's write-ahead log, from which it rebuilds them."""
OUTGOING = "-outgoing"
"""Suffix of a collection whose rows a purge is moving to a new one."""
LONG_REQUEST_SECONDS = 600.0
"""Timeout for builds, purges and pulls: their last request makes the server write all vectors to
disk."""
MAX_EXACT_CHUNKS = 100_000
"""Chunks up to which readers compare all vectors in memory: at 384 dimensions in 1.5 ms and 18 MiB
for 12,600, and in 18 ms and 146 MiB for 100,000 (numpy, one thread; utils.evaluation.sizes).
Beyond, they search Chroma's graph: at a million, comparing all takes 151 ms and 1,465 MiB."""
_MAX_CREATE_ATTEMPTS = 5
"""Attempts to create a collection that can neither be created nor found."""


class Store:
    """An open Chroma store, a folder or a server."""

    def __init__(
        self,
        client: "ClientAPI",
        database: str,
        sessions: "Sequence[httpx.Client | IsolatedStore]" = (),
    ) -> None:
        self.client = client
        self._sessions = sessions
        self.database = database

    def live(self) -> LivePointer | None:
        """Read the pointer; None before the first build went live.

        Raises:
            StoreUnreachableError, IndexDamagedError: it cannot be read.
        """
        pointer = self.find(POINTER)
        if pointer is None or not pointer.metadata or "live" not in pointer.metadata:
            return None
        return LivePointer.from_metadata(pointer.metadata)

    def live_collection(self) -> "tuple[LivePointer, Collection, Fingerprint]":
        """The pointer, the live collection and its fingerprint.

        Raises:
            IndexMissingError: no index was built here yet.
            IndexDamagedError: the pointer names no collection, or the store cannot be read.
            StoreUnreachableError: the server does not answer.
        """
        live = self.live()
        if live is None:
            raise missing_index_error(self.database)
        collection = self.find(live.name)
        if collection is None and (now := self.live()) and now.name != live.name:
            live, collection = now, self.find(now.name)  # the pointer moved between the two reads
        fingerprint = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if collection is None or fingerprint is None:
            raise damaged_index_error(self.database, "is incomplete")
        return live, collection, fingerprint.with_change(live.changed)

    def set_live(self, name: str, *, keep_previous: bool = True) -> LivePointer:
        """Make a collection the live one, in one write; the previous one is kept for rollback."""
        before = self.live() or LivePointer("", "", revision=0, since=0)
        revision = before.revision + 1
        previous = before.name if keep_previous else ""
        after = replace(before, name=name, previous=previous, revision=revision, since=revision)
        return self._write_pointer(replace(after, previous_revision=before.revision, changed=None))

    def advance(self, live: LivePointer, job: str, changed: InPlaceChange) -> LivePointer:
        """Make a job's changes in place visible: the next revision of the same collection."""
        revision = live.revision + 1
        return self._write_pointer(
            replace(live, revision=revision, job=job, job_revision=revision, changed=changed)
        )

    def return_to_folder(self) -> None:
        """Make builds ignore all API changes so far."""
        live = self.live()
        if live is not None:
            self._write_pointer(replace(live, folder_since=live.revision))

    def _write_pointer(self, live: LivePointer) -> LivePointer:
        metadata = live.to_metadata()
        with self.translate_errors():
            pointer = self.find(POINTER)
            if pointer is None:
                self.client.create_collection(POINTER, metadata=metadata, embedding_function=None)
            else:
                pointer.modify(metadata=metadata)
        return live

    def create(self, name: str, metadata: dict[str, Any], rows: int = NEVER_SYNC) -> "Collection":
        """Create a collection that writes its HNSW files once, after the last of its `rows`."""
        graph = {"space": "cosine", "sync_threshold": max(rows, 2)}
        if name.startswith(INDEX_PREFIX):
            graph |= graph_parameters(rows)
        configuration: Any = {"hnsw": graph}
        with self.translate_errors():
            return self.client.create_collection(
                name, metadata=metadata, configuration=configuration, embedding_function=None
            )

    def create_if_absent(self, name: str, metadata: dict[str, Any]) -> "Collection | None":
        """Create a collection that is written in place; None if one of that name exists."""
        for attempts_left in reversed(range(_MAX_CREATE_ATTEMPTS)):
            try:
                return self.create(name, metadata)
            except IndexDamagedError:
                if self.find(name) is not None:
                    return None
                # Another process may have created it and deleted it in between.
                if not attempts_left:
                    raise
        return None

    def get_or_create(self, name: str) -> "Collection":
        """The collection of this name, created if missing; it is written in place."""
        while (found := self.find(name)) is None:
            if created := self.create_if_absent(name, {"made_for": name}):
                return created
            # Another process has created it just now.
        return found

    def find(self, name: str) -> "Collection | None":
        """The collection of this name; None if there is none."""
        from chromadb.errors import NotFoundError

        with self.translate_errors():
            try:
                return self.client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None

    def find_during_purge(self, name: str) -> "Collection | None":
        """Like `find`, also while a purge is moving the rows to a new collection."""
        return self.find(name) or self.find(f"{name}{OUTGOING}") or self.find(name)

    def delete(self, name: str) -> None:
        """Delete a collection if it exists."""
        from chromadb.errors import NotFoundError

        with self.translate_errors():
            try:
                self.client.delete_collection(name)
            except NotFoundError:
                return

    def index_names(self) -> list[str]:
        """All index collections: live, previous, and those left by interrupted builds."""
        return self.collection_names(INDEX_PREFIX)

    def collection_names(self, prefix: str) -> list[str]:
        """All collections with this prefix."""
        with self.translate_errors():
            names = [collection.name for collection in self.client.list_collections()]
        return sorted(name for name in names if name.startswith(prefix))

    def close(self) -> None:
        """Close the folder and its process, or the connections."""
        self.client.close()  # type: ignore[attr-defined]  # every client has it
        for session in self._sessions:
            session.close()

    def translate_errors(self) -> AbstractContextManager[None]:
        """Translate errors of Chroma and its HTTP client into this project's."""
        return translate_chroma_errors(self.database)


def connect(settings: Settings, *, timeout: float | None = None, create: bool = False) -> Store:
    """Open the store that the settings name, as `open_store` does; a folder is isolated.

    Args:
        settings: Names the folder or server, its token and timeout.
        timeout: Seconds per request to the server; CHROMA_TIMEOUT by default.
        create: Create the folder if it is missing.
    """

    def token(now: Settings) -> str | None:
        return now.chroma_token.get_secret_value() if now.chroma_token else None

    return open_store(
        settings.database,
        token=token(settings),
        # The gateway may have a new token; its file or the .env then contains it.
        renew_token=lambda: token(load_settings()),
        timeout=timeout or settings.chroma_timeout,
        create=create,
        isolated=True,
    )


def open_store(
    database: str,
    *,
    token: str | None = None,
    renew_token: Callable[[], str | None] = lambda: None,
    timeout: float = 10.0,
    create: bool = False,
    isolated: bool = False,
) -> Store:
    """Open a folder or connect to a server.

    Args:
        database: A folder, or a server's address.
        token: Bearer token of the server's gateway.
        renew_token: Returns the current token; called after one was refused.
        timeout: Seconds per request to the server.
        create: Create the folder if it is missing.
        isolated: Open a folder in a child process, see `isolated_store`.

    Raises:
        IndexMissingError: the folder does not exist.
        IndexDamagedError: the folder contains something else, or a damaged store.
        StoreUnreachableError: the server does not answer or refuses the token.
    """
    if is_server(database):
        client, sessions = open_server(database, token, timeout, renew_token)
        return Store(client, database, sessions)
    path = Path(database)
    if not create and not (path / "chroma.sqlite3").is_file():
        raise missing_index_error(database)
    client, processes = open_folder(path, isolated=isolated)
    return Store(client, database, processes)


def graph_parameters(chunks: int) -> dict[str, Any]:
    """Chroma's settings of the graph (HNSW) of an index; the defaults if readers compare all.

    Measured with all-MiniLM-L6-v2 over 20,959 chunks of the SageMaker documentation and 240
    questions; neighbours per node (M), candidates while building and while searching:

    | M, building, searching | recall@250 | lowest | below 0.9 | build | search  |
    | ---------------------- | ---------- | ------ | --------- | ----- | ------- |
    | 16, 100, 100 (default) | 0.927      | 0.300  | 50        | 17 s  | 2.4 ms  |
    | 16, 100, 500           | 0.976      | 0.312  | 5         | 16 s  | 2.9 ms  |
    | 32, 200, 500           | 0.991      | 0.872  | 1         | 18 s  | 3.8 ms  |
    | 48, 400, 500           | 0.995      | 0.888  | 1         | 30 s  | 5.9 ms  |

    With the settings returned, over indexes grown to a size (utils.evaluation.sizes, 324 questions,
    of which a million leaves 22 below 0.9; a build warns of a recall below MIN_RECALL):

    | chunks    | recall@250 | lowest | build   | open  | memory    | search  |
    | --------- | ---------- | ------ | ------- | ----- | --------- | ------- |
    | 100,000   | 0.997      | 0.932  | 196 s   | 0.6 s | 262 MiB   | 12.6 ms |
    | 1,000,000 | 0.966      | 0.000  | 7,547 s | 7.9 s | 2,206 MiB | 11.4 ms |
    """
    if chunks <= MAX_EXACT_CHUNKS // 2:  # it may grow
        return {}
    return {"max_neighbors": 48, "ef_construction": 400, "ef_search": 800}
