"""The Chroma store, embedded or a server: which collections there are and which one is live.

A small collection named `pointer` says in its metadata which collection readers use. One metadata
write moves it, so that no reader ever meets half an index.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.index.connection import (
    BUILD_COMMAND,
    missing_index_error,
    open_folder,
    open_server,
    translate_chroma_errors,
)
from database.index.fingerprint import Fingerprint, InPlaceChange
from utils.errors import IndexDamagedError
from utils.settings import is_server

if TYPE_CHECKING:
    import httpx
    from chromadb import Collection
    from chromadb.api import ClientAPI

POINTER = "pointer"
INDEX_PREFIX = "index-"
OUTGOING = "-outgoing"
"""What a collection is called while a purge moves its rows to a new one."""
_CREATIONS = 5
"""How often a collection is created that can neither be created nor found."""
NEVER_SYNC = 1_000_000
"""hnsw:sync_threshold of a live collection. Chroma rewrites its files in place whenever this many
writes have come in, and a kill in that moment destroys them."""


@dataclass(frozen=True, slots=True)
class LivePointer:
    """Where the pointer points."""

    name: str
    previous: str
    """The collection that was live before, kept for rollback; "" for none."""
    revision: int
    """Rises with every change that readers are to see."""
    since: int
    """The revision with which this collection went live; later ones changed it in place."""
    folder_since: int = 0
    """Changes through the API up to this revision are void for builds: the folder rules again."""
    job: str = ""
    """The job that changed an index in place last; its entries may not be marked yet."""
    job_revision: int = 0
    """The revision that this job made."""
    previous_revision: int = 0
    """The last revision of the previous collection."""
    changed: InPlaceChange | None = None
    """What was changed in place since it went live."""

    def is_same_build(self, other: "LivePointer") -> bool:
        """Whether both are states of a collection between which it was changed in place only.

        One that a rollback brought back is another: what was changed before it went is not in it.
        """
        return (self.name, self.since) == (other.name, other.since)


class Store:
    """A connection to the place where indexes lie."""

    def __init__(
        self, client: "ClientAPI", database: str, sessions: "Sequence[httpx.Client]" = ()
    ) -> None:
        self._client = client
        self._sessions = sessions
        self.database = database

    @property
    def build_command(self) -> str:
        """The command that builds or repairs the index here."""
        return BUILD_COMMAND.format(database=self.database)

    def live(self) -> LivePointer | None:
        """Read the pointer; None before the first build went live.

        Raises:
            StoreUnreachableError, IndexDamagedError: it cannot be read.
        """
        pointer = self.find(POINTER)
        if pointer is None or not pointer.metadata or "live" not in pointer.metadata:
            return None
        fields: Mapping[str, Any] = pointer.metadata
        revision = int(fields["revision"])
        return LivePointer(
            name=fields["live"],
            previous=fields.get("previous", ""),
            revision=revision,
            since=int(fields.get("since", revision)),
            folder_since=int(fields.get("folder_since", 0)),
            job=fields.get("job", ""),
            job_revision=int(fields.get("job_revision", 0)),
            previous_revision=int(fields.get("previous_revision", 0)),
            changed=InPlaceChange.from_metadata(fields),
        )

    def live_collection(self) -> "tuple[LivePointer, Collection, Fingerprint]":
        """The live collection and what it was made from.

        Raises:
            IndexMissingError: nothing was built here yet.
            IndexDamagedError: the pointer leads nowhere, or the store cannot be read.
            StoreUnreachableError: the server does not answer.
        """
        live = self.live()
        if live is None:
            raise missing_index_error(self.database)
        collection = self.find(live.name)
        if collection is None and (now := self.live()) and now.name != live.name:
            live, collection = now, self.find(now.name)  # it moved between the two looks
        fingerprint = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if collection is None or fingerprint is None:
            raise IndexDamagedError(
                f"The index at {self.database} is not whole. Build it again: {self.build_command}"
            )
        return live, collection, fingerprint.with_change(live.changed)

    def set_live(self, name: str, *, keep_previous: bool = True) -> LivePointer:
        """Make a collection the live one, in one write; the one before stays for rollback.

        Args:
            name: The collection.
            keep_previous: Whether there is a way back; not where the one before is to vanish.
        """
        before = self.live() or LivePointer("", "", revision=0, since=0)
        revision = before.revision + 1
        previous = before.name if keep_previous else ""
        after = replace(before, name=name, previous=previous, revision=revision, since=revision)
        return self._point(replace(after, previous_revision=before.revision, changed=None))

    def advance(self, live: LivePointer, job: str, changed: InPlaceChange) -> LivePointer:
        """Let readers see what a job changed in place: the same collection's next revision."""
        revision = live.revision + 1
        return self._point(
            replace(live, revision=revision, job=job, job_revision=revision, changed=changed)
        )

    def return_to_folder(self) -> None:
        """Have builds go by their folder alone: what came through the API so far is void."""
        live = self.live()
        if live is not None:
            self._point(replace(live, folder_since=live.revision))

    def _point(self, live: LivePointer) -> LivePointer:
        metadata: dict[str, Any] = {"live": live.name} | asdict(live)
        metadata |= metadata.pop("changed") or {}
        del metadata["name"]
        with self.translate_errors():
            pointer = self.find(POINTER)
            if pointer is None:
                self._client.create_collection(POINTER, metadata=metadata, embedding_function=None)
            else:
                pointer.modify(metadata=metadata)
        return live

    def create(self, name: str, metadata: dict[str, Any], rows: int) -> "Collection":
        """Create an index collection that persists its vectors once, when its last row arrives.

        Args:
            name: The collection's name.
            metadata: What to note on it.
            rows: How many rows will be added in all.
        """
        configuration: Any = {"hnsw": {"space": "cosine", "sync_threshold": max(rows, 2)}}
        with self.translate_errors():
            return self._client.create_collection(
                name, metadata=metadata, configuration=configuration, embedding_function=None
            )

    def create_if_absent(self, name: str, metadata: dict[str, Any]) -> "Collection | None":
        """Create an empty collection, or None where one of that name is already there."""
        from chromadb.errors import ChromaError

        for attempts_left in reversed(range(_CREATIONS)):
            with self.translate_errors():
                try:
                    return self._client.create_collection(
                        name, metadata=metadata, embedding_function=None
                    )
                except ChromaError:
                    if self.find(name) is not None:
                        return None
                    # It may have been there and be gone by now.
                    if not attempts_left:
                        raise
        return None

    def get_or_create(self, name: str) -> "Collection":
        """The collection of this name, made where it is missing; it is written in place."""
        from chromadb.errors import ChromaError

        found = self.find(name)
        if found is not None:
            return found
        try:
            return self.create(name, {"made_for": name}, NEVER_SYNC)
        except IndexDamagedError as error:
            # Somebody else has just made it.
            found = self.find(name) if isinstance(error.__cause__, ChromaError) else None
            if found is None:
                raise
            return found

    def find(self, name: str) -> "Collection | None":
        """Look a collection up by its name."""
        from chromadb.errors import NotFoundError

        with self.translate_errors():
            try:
                return self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None

    def find_during_purge(self, name: str) -> "Collection | None":
        """Look up a collection that a purge may just be moving to a new one of the same name."""
        return self.find(name) or self.find(f"{name}{OUTGOING}") or self.find(name)

    def delete(self, name: str) -> None:
        """Delete a collection; one that is gone already is as good."""
        from chromadb.errors import NotFoundError

        with self.translate_errors():
            try:
                self._client.delete_collection(name)
            except NotFoundError:
                return

    def index_names(self) -> list[str]:
        """The index collections here: live, previous, and what interrupted builds left."""
        return self.collection_names(INDEX_PREFIX)

    def collection_names(self, prefix: str) -> list[str]:
        """The collections here whose names begin so."""
        with self.translate_errors():
            names = [collection.name for collection in self._client.list_collections()]
        return sorted(name for name in names if name.startswith(prefix))

    def close(self) -> None:
        """Let go of the folder or the connections."""
        self._client.close()  # type: ignore[attr-defined]  # every client has it
        for session in self._sessions:
            session.close()

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn what Chroma and its HTTP client raise into this project's errors."""
        with translate_chroma_errors(self.database):
            yield


def open_store(
    database: str,
    *,
    token: str | None = None,
    renew_token: Callable[[], str | None] = lambda: None,
    timeout: float = 10.0,
    create: bool = False,
) -> Store:
    """Open a folder or connect to a server.

    Args:
        database: A folder, or a server's address.
        token: Bearer token of the server's gateway.
        renew_token: Asked for the token of now after one was refused.
        timeout: Seconds a request to the server may take.
        create: Make the folder where it is missing.

    Raises:
        IndexMissingError: there is no such folder.
        IndexDamagedError: the folder holds something else, or a damaged store.
        StoreUnreachableError: the server does not answer or refuses the token.
    """
    if is_server(database):
        client, sessions = open_server(database, token, timeout, renew_token)
        return Store(client, database, sessions)
    path = Path(database)
    if not create and not (path / "chroma.sqlite3").is_file():
        raise missing_index_error(database)
    return Store(open_folder(path), database)
