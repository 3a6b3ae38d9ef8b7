"""Opens Chroma, embedded or a server, and turns what it raises into this project's errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from utils.errors import DocsQAError, IndexDamagedError, IndexMissingError, StoreUnreachableError
from utils.settings import build_command

if TYPE_CHECKING:
    import httpx
    from chromadb.api import ClientAPI

_HEARTBEAT = "/api/v2/heartbeat"
_REFUSED = {401, 403}
_PROXYS_OWN = {408, 413, 429, 502, 503, 504}
"""What a proxy answers where Chroma did not; all that Chroma's client makes of it is Exception."""


@contextmanager
def translate_chroma_errors(database: str) -> Iterator[None]:
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
    except httpx.HTTPStatusError as error:
        if error.response.status_code in _REFUSED:
            raise _refused(database) from error
        raise _unreachable(database, error) from error
    except httpx.HTTPError as error:  # a server that is no Chroma
        raise _unreachable(database, error) from error


def missing_index_error(database: str) -> IndexMissingError:
    """What to say where nothing was built yet."""
    return IndexMissingError(f"No index at {database}. Build it: {build_command(database)}")


def _unreachable(database: str, error: Exception) -> StoreUnreachableError:
    response = getattr(error, "response", None)
    reason = f"status {response.status_code}" if response is not None else type(error).__name__
    return StoreUnreachableError(
        f"No Chroma server answers at {database} ({reason}). Start it, or set DATABASE."
    )


def _refused(database: str) -> StoreUnreachableError:
    return StoreUnreachableError(f"{database} refused the CHROMA_TOKEN. Set the server's.")


def _damaged(database: str, error: Exception) -> IndexDamagedError:
    return IndexDamagedError(
        f"The store at {database} cannot be read ({type(error).__name__}). Restore it, or move it "
        f"away and build again: {build_command(database)}"
    )


def open_folder(path: Path) -> "ClientAPI":
    """Open an embedded store, and make its folder where it is missing.

    Raises:
        IndexDamagedError: it holds something else, or a damaged store.
    """
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    if path.exists() and not path.is_dir():
        raise IndexDamagedError(f"Cannot open {path}: it is a file. Name a folder.")
    with translate_chroma_errors(str(path)):
        try:
            path.mkdir(parents=True, exist_ok=True)
            return chromadb.PersistentClient(
                path, settings=ChromaSettings(anonymized_telemetry=False)
            )
        except OSError as error:
            raise IndexDamagedError(f"Cannot open {path} ({error.strerror}).") from error
        except Exception as error:  # sqlite and the Rust side raise whatever they like
            raise _damaged(str(path), error) from error


def open_server(
    database: str,
    token: str | None,
    timeout: float,
    renew_token: Callable[[], str | None] = lambda: None,
) -> "tuple[ClientAPI, list[httpx.Client]]":
    """Connect to a server; the HTTP clients are the caller's to close.

    Args:
        database: The server's address.
        token: Bearer token of the server's gateway.
        timeout: Seconds a request may take.
        renew_token: Asked for the token of now after one was refused, for the requests that follow.

    Raises:
        StoreUnreachableError: it does not answer or refuses the token.
    """
    import chromadb
    import httpx
    from chromadb.config import Settings as ChromaSettings

    address = urlsplit(database)
    secure = address.scheme == "https"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with translate_chroma_errors(database):
        # Chroma's client waits for ever, and asks in its constructor: a silent server is met here.
        answer = httpx.get(f"{database.rstrip('/')}{_HEARTBEAT}", headers=headers, timeout=timeout)
        answer.raise_for_status()
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

    def look_at(response: httpx.Response) -> None:
        if response.status_code in _REFUSED and (fresh := renew_token()):
            for session in sessions:
                session.headers["Authorization"] = f"Bearer {fresh}"
        if response.status_code in _REFUSED | _PROXYS_OWN:
            response.raise_for_status()

    for session in sessions:
        session.timeout = httpx.Timeout(timeout)
        session.event_hooks = {"response": [look_at]}
    return client, sessions
