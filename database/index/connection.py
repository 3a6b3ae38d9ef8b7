"""Opens Chroma, embedded or a server, and translates its errors into this project's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from database.index.disk_space import space_error
from database.index.isolation.isolated_store import IsolatedStore, open_isolated
from database.index.rows import DamagedRowError
from utils.errors import DocsQAError, IndexDamagedError, IndexMissingError, StoreUnreachableError
from utils.proxies import proxy_advice
from utils.settings import build_command, is_server

if TYPE_CHECKING:
    import httpx
    from chromadb.api import ClientAPI

_UNAUTHORIZED = {401, 403}
_PROXY_STATUSES = {408, 413, 429, 502, 503, 504}
"""Statuses of a proxy in front of Chroma, for which Chroma's client raises a bare Exception."""
_LOCKED = "database is locked"
"""In the errors of a server whose disk was full, until it is restarted (Chroma 1.5)."""


@contextmanager
def translate_chroma_errors(database: str) -> Iterator[None]:
    """Translate errors of Chroma and its HTTP client, and those of damaged rows.

    NotFoundError passes: only the caller can interpret it.
    """
    import httpx
    from chromadb.errors import AuthorizationError, ChromaAuthError, ChromaError, NotFoundError

    try:
        yield
    except (DocsQAError, NotFoundError):
        raise
    except (AuthorizationError, ChromaAuthError) as error:
        raise _unauthorized(database) from error
    except DamagedRowError as error:
        raise damaged_index_error(database, "is damaged (a row of it is no chunk)") from error
    except ChromaError as error:
        raise _store_error(database, error) from error
    except httpx.HTTPError as error:  # no answer, or one that is not Chroma's
        raise _http_error(database, error) from error


def missing_index_error(database: str) -> IndexMissingError:
    """The error of a store without an index."""
    return IndexMissingError(f"No index at {database}. Build it: {build_command(database)}")


def damaged_index_error(database: str, how: str) -> IndexDamagedError:
    """The error of an index that must be built again."""
    return IndexDamagedError(
        f"The index at {database} {how}. Build it again: {build_command(database)}"
    )


def _http_error(database: str, error: Exception) -> StoreUnreachableError:
    import httpx

    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
    if status in _UNAUTHORIZED:
        return _unauthorized(database)
    reason = f"status {status}" if status else type(error).__name__
    return StoreUnreachableError(
        f"No Chroma server answers at {database} ({reason}). Start it, or set DATABASE."
        f"{proxy_advice(database)}"
    )


def _unauthorized(database: str) -> StoreUnreachableError:
    return StoreUnreachableError(
        f"{database} refused the CHROMA_TOKEN. Set the server's token.{proxy_advice(database)}"
    )


def _store_error(database: str, error: Exception) -> DocsQAError:
    """What an error of Chroma's library means: a full disk, or else a damaged store."""
    if is_server(database) and _LOCKED in str(error):
        return StoreUnreachableError(
            f"The Chroma server at {database} writes nothing any more (its database is locked, as "
            "after its disk was full). Restart it; what it stores is intact."
        )
    return space_error(database, error) or IndexDamagedError(
        f"The store at {database} cannot be read ({type(error).__name__}). Restore it, or move it "
        f"away and build again: {build_command(database)}"
    )


def open_folder(path: Path, *, isolated: bool = False) -> "tuple[ClientAPI, list[IsolatedStore]]":
    """Open an embedded store; its folder is created if missing.

    The caller must close what is returned beside the client: the store's child process.

    Raises:
        IndexDamagedError: the folder contains something else, or a damaged store.
        DiskFullError, StoreProcessError: see `isolated_store`.
    """
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    if path.exists() and not path.is_dir():
        raise IndexDamagedError(f"Cannot open {path}: it is a file. Name a folder.")
    try:
        path.mkdir(parents=True, exist_ok=True)
        if isolated:
            client, store = open_isolated(path)
            return client, [store]
        settings = ChromaSettings(anonymized_telemetry=False)
        return chromadb.PersistentClient(path, settings=settings), []
    except DocsQAError:
        raise
    except OSError as error:
        reason = f"Cannot open {path} ({error.strerror})."
        raise space_error(path, error) or IndexDamagedError(reason) from error
    except Exception as error:  # SQLite and Chroma's Rust code raise errors of many types
        raise _store_error(str(path), error) from error


def open_server(
    database: str,
    token: str | None,
    timeout: float,
    renew_token: Callable[[], str | None],
) -> "tuple[ClientAPI, list[httpx.Client]]":
    """Connect to a server, as `open_store` does; the caller must close the returned HTTP clients.

    Raises:
        StoreUnreachableError: the server does not answer or refuses the token.
    """
    import chromadb
    import httpx
    from chromadb.config import Settings as ChromaSettings

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with translate_chroma_errors(database):
        # Check the server first: Chroma's client sends a request in its constructor, untimed.
        heartbeat = f"{database.rstrip('/')}/api/v2/heartbeat"
        httpx.get(heartbeat, headers=headers, timeout=timeout).raise_for_status()
        try:
            client = chromadb.HttpClient(
                host=database,  # not a host alone, as it takes no IPv6 address
                ssl=database.startswith("https"),
                headers=headers,
                settings=ChromaSettings(anonymized_telemetry=False),
            )
        except ValueError as error:  # Chroma's client raises this for an unreachable server
            raise _http_error(database, error) from error
    # Chroma's two HTTP clients have no timeout, no option for one, and are never closed.
    apis: list[Any] = [client._server, client._admin_client._server]  # type: ignore[attr-defined]  # noqa: SLF001
    sessions: list[httpx.Client] = [api._session for api in apis]  # noqa: SLF001

    def check(response: httpx.Response) -> None:
        if response.status_code in _UNAUTHORIZED and (fresh := renew_token()):
            for session in sessions:
                session.headers["Authorization"] = f"Bearer {fresh}"
        if response.status_code in _UNAUTHORIZED | _PROXY_STATUSES:
            response.raise_for_status()

    for session in sessions:
        session.timeout = httpx.Timeout(timeout)
        session.event_hooks = {"response": [check]}
    return client, sessions
