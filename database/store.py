"""The Chroma store, embedded or a server: which collections there are and which one is live.

A small collection named `pointer` says in its metadata which collection readers use. One metadata
write moves it, so that no reader ever meets half an index.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from database.fingerprint import Fingerprint
from utils.errors import (
    DocsQAError,
    IndexDamagedError,
    IndexMissingError,
    StoreUnreachableError,
)
from utils.settings import is_server

if TYPE_CHECKING:
    import httpx
    from chromadb import Collection
    from chromadb.api import ClientAPI

POINTER = "pointer"
INDEX_PREFIX = "index-"
NEVER_SYNC = 1_000_000
"""hnsw:sync_threshold of a live collection. Chroma rewrites its files in place whenever this many
writes have come in, and a kill in that moment destroys them."""
_HEARTBEAT = "/api/v2/heartbeat"
BUILD_COMMAND = "python ./utils/db_builder.py -d dataset/sagemaker_documentation -db {database}"


@dataclass(frozen=True, slots=True)
class Live:
    """Where the pointer points."""

    name: str
    previous: str
    revision: int


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

    def live(self) -> Live | None:
        """Read the pointer; None before the first build went live.

        Raises:
            StoreUnreachableError, IndexDamagedError: it cannot be read.
        """
        pointer = self.find(POINTER)
        if pointer is None or not pointer.metadata or "live" not in pointer.metadata:
            return None
        fields: Mapping[str, Any] = pointer.metadata
        return Live(fields["live"], fields.get("previous", ""), int(fields["revision"]))

    def live_collection(self) -> "tuple[Live, Collection, Fingerprint]":
        """The live collection and what it was made from.

        Raises:
            IndexMissingError: nothing was built here yet.
            IndexDamagedError: the pointer leads nowhere, or the store cannot be read.
            StoreUnreachableError: the server does not answer.
        """
        live = self.live()
        if live is None:
            raise index_missing(self.database)
        collection = self.find(live.name)
        fingerprint = Fingerprint.from_metadata(collection.metadata or {}) if collection else None
        if collection is None or fingerprint is None:
            raise IndexDamagedError(
                f"The index at {self.database} is not whole. Build it again: {self.build_command}"
            )
        return live, collection, fingerprint

    def point_at(self, name: str) -> None:
        """Make a collection the live one, in one write; the one before stays for rollback."""
        before = self.live()
        with self.translated():
            metadata = {
                "live": name,
                "previous": before.name if before else "",
                "revision": before.revision + 1 if before else 1,
            }
            pointer = self.find(POINTER)
            if pointer is None:
                self._client.create_collection(POINTER, metadata=metadata, embedding_function=None)
            else:
                pointer.modify(metadata=metadata)

    def create(self, name: str, metadata: dict[str, Any], rows: int) -> "Collection":
        """Create an index collection that persists its vectors once, when its last row arrives.

        Args:
            name: The collection's name.
            metadata: What to note on it.
            rows: How many rows will be added in all.
        """
        configuration: Any = {"hnsw": {"space": "cosine", "sync_threshold": max(rows, 2)}}
        with self.translated():
            return self._client.create_collection(
                name, metadata=metadata, configuration=configuration, embedding_function=None
            )

    def create_new(self, name: str, metadata: dict[str, Any]) -> "Collection | None":
        """Create an empty collection, or None where one of that name is already there."""
        from chromadb.errors import ChromaError

        with self.translated():
            try:
                return self._client.create_collection(
                    name, metadata=metadata, embedding_function=None
                )
            except ChromaError:
                if self.find(name) is None:
                    raise
                return None

    def find(self, name: str) -> "Collection | None":
        """Look a collection up by its name."""
        from chromadb.errors import NotFoundError

        with self.translated():
            try:
                return self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None

    def delete(self, name: str) -> None:
        """Delete a collection; one that is gone already is as good."""
        from chromadb.errors import NotFoundError

        with self.translated():
            try:
                self._client.delete_collection(name)
            except NotFoundError:
                return

    def index_names(self) -> list[str]:
        """The index collections here: live, previous, and what interrupted builds left."""
        with self.translated():
            names = [collection.name for collection in self._client.list_collections()]
        return sorted(name for name in names if name.startswith(INDEX_PREFIX))

    def close(self) -> None:
        """Let go of the folder or the connections."""
        self._client.close()  # type: ignore[attr-defined]  # every client has it
        for session in self._sessions:
            session.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what Chroma and its HTTP client raise into this project's errors."""
        with translated(self.database):
            yield


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Turn what Chroma and its HTTP client raise into this project's errors.

    NotFoundError passes: what it means depends on who asked.
    """
    import httpx
    from chromadb.errors import AuthorizationError, ChromaAuthError, ChromaError, NotFoundError

    try:
        yield
    except (DocsQAError, NotFoundError):
        raise
    except (AuthorizationError, ChromaAuthError) as error:
        raise _refused(database) from error
    except httpx.TransportError as error:
        raise _unreachable(database, error) from error
    except ChromaError as error:
        raise _damaged(database, error) from error
    except httpx.HTTPError as error:  # a proxy's answer, or a server that is no Chroma
        raise _unreachable(database, error) from error


def index_missing(database: str) -> IndexMissingError:
    """What to say where nothing was built yet."""
    return IndexMissingError(
        f"No index at {database}. Build it: {BUILD_COMMAND.format(database=database)}"
    )


def _unreachable(database: str, error: Exception) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"No Chroma server answers at {database} ({type(error).__name__}). Start it, or set "
        "DATABASE."
    )


def _refused(database: str) -> StoreUnreachableError:
    return StoreUnreachableError(f"{database} refused the CHROMA_TOKEN. Set the server's.")


def _damaged(database: str, error: Exception) -> IndexDamagedError:
    return IndexDamagedError(
        f"The store at {database} cannot be read ({type(error).__name__}). Restore it, or move it "
        f"away and build again: {BUILD_COMMAND.format(database=database)}"
    )


def connect(
    database: str, *, token: str | None = None, timeout: float = 10.0, create: bool = False
) -> Store:
    """Open a folder or connect to a server.

    Args:
        database: A folder, or a server's address.
        token: Bearer token of the server's gateway.
        timeout: Seconds a request to the server may take.
        create: Make the folder where it is missing.

    Raises:
        IndexMissingError: there is no such folder.
        IndexDamagedError: the folder holds something else, or a damaged store.
        StoreUnreachableError: the server does not answer or refuses the token.
    """
    if is_server(database):
        return _server(database, token, timeout)
    path = Path(database)
    if not create and not (path / "chroma.sqlite3").is_file():
        raise index_missing(database)
    return Store(_embedded(path), database)


def _embedded(path: Path) -> "ClientAPI":
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    if path.exists() and not path.is_dir():
        raise IndexDamagedError(f"Cannot open {path}: it is a file. Name a folder.")
    with translated(str(path)):
        try:
            path.mkdir(parents=True, exist_ok=True)
            return chromadb.PersistentClient(
                path, settings=ChromaSettings(anonymized_telemetry=False)
            )
        except OSError as error:
            raise IndexDamagedError(f"Cannot open {path} ({error.strerror}).") from error
        except Exception as error:  # sqlite and the Rust side raise whatever they like
            raise _damaged(str(path), error) from error


def _server(database: str, token: str | None, timeout: float) -> Store:
    import chromadb
    import httpx
    from chromadb.config import Settings as ChromaSettings

    address = urlsplit(database)
    secure = address.scheme == "https"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with translated(database):
        # Chroma's client waits for ever, and asks in its constructor: a silent server is met here.
        answer = httpx.get(f"{database.rstrip('/')}{_HEARTBEAT}", headers=headers, timeout=timeout)
        if answer.status_code in {401, 403}:
            raise _refused(database)
        try:
            client = chromadb.HttpClient(
                host=address.hostname or "",
                port=address.port or (443 if secure else 80),
                ssl=secure,
                headers=headers,
                settings=ChromaSettings(anonymized_telemetry=False),
            )
        except ValueError as error:  # all that Chroma's client says where nobody answers
            raise _unreachable(database, error) from error
    # Chroma gives its two HTTP clients no time-out, no way to ask for one, and never closes them.
    apis: list[Any] = [client._server, client._admin_client._server]  # type: ignore[attr-defined]  # noqa: SLF001
    sessions: list[httpx.Client] = [api._session for api in apis]  # noqa: SLF001
    for session in sessions:
        session.timeout = httpx.Timeout(timeout)
    return Store(client, database, sessions)
