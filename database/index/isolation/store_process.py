"""Serves the calls of an embedded store in a process of its own, see `isolated_store`.

`python -m database.index.isolation.store_process FOLDER DESCRIPTOR` reads calls of Chroma's native
library from an inherited socket, and answers each when it has ended.
"""

import ctypes
import importlib.util
import resource
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import chromadb_rust_bindings as bindings  # type: ignore[import-untyped]

_PR_SET_PDEATHSIG = 1
_THREADS = 16
"""Calls at a time: a search need not wait for a write."""
_FILES_PER_COLLECTION = 5
"""Open files of a collection's vectors. Chroma's own client keeps as many collections open as the
limit of open files allows; a lower number loses rows that were added in place."""
_PLAIN = (str, bytes, int, float, bool, UUID, type(None))


@dataclass(frozen=True, slots=True)
class StoreCall:
    """A call of a function of Chroma's library."""

    number: int
    function: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class StoreReply:
    """What a call returned or raised."""

    number: int
    value: Any = None
    error: Exception | None = None


def open_bindings(folder: Path, cached_collections: int) -> Any:
    """Open Chroma's library on a folder as `chromadb.api.rust` does, without importing chromadb.

    Importing that package takes a second, opening a store milliseconds.
    """
    database = bindings.SqliteDBConfig(
        hash_type=bindings.MigrationHash.MD5,
        migration_mode=bindings.MigrationMode.Apply,
        url=str(folder / "chroma.sqlite3"),
    )
    return bindings.Bindings(
        allow_reset=False,
        sqlite_db_config=database,
        persist_path=str(folder),
        hnsw_cache_size=cached_collections,
    )


def main(argv: list[str]) -> None:
    """Open the folder, and answer calls until the parent closes the socket."""
    folder, descriptor = argv
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes
    if sys.platform == "linux":
        # A killed parent's lock is taken over at once: nothing of it may still write.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _import_errors_alone()
    connection = Connection(int(descriptor))
    try:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        store = open_bindings(Path(folder), files // _FILES_PER_COLLECTION)
    except BaseException as error:  # noqa: BLE001  # a panic of the library is none of Exception
        connection.send(StoreReply(0, error=_sendable(error)))
        return
    connection.send(StoreReply(0))
    sending = threading.Lock()

    def answer(call: StoreCall) -> None:
        try:
            value = _plain(getattr(store, call.function)(*call.arguments))
            reply = StoreReply(call.number, value)
        except BaseException as error:  # noqa: BLE001
            reply = StoreReply(call.number, error=_sendable(error))
        with sending:
            connection.send(reply)

    with ThreadPoolExecutor(_THREADS) as threads:
        while True:
            try:
                call = connection.recv()
            except (EOFError, OSError):
                return
            threads.submit(answer, call)


def _import_errors_alone() -> None:
    """Let the library find `chromadb.errors` without the rest of that package."""
    found = importlib.util.find_spec("chromadb")
    package = ModuleType("chromadb")
    package.__path__ = list(found.submodule_search_locations or ()) if found else []
    sys.modules["chromadb"] = package


def _plain(value: Any) -> Any:
    """A result without the library's own classes, which cannot be sent."""
    if isinstance(value, list):
        return value if value and isinstance(value[0], _PLAIN) else [_plain(one) for one in value]
    if isinstance(value, (*_PLAIN, dict)):
        return value
    fields = [name for name in dir(value) if not name.startswith("_")]
    return SimpleNamespace(**{name: _plain(getattr(value, name)) for name in fields})


def _sendable(error: BaseException) -> Exception:
    """The error, or one of Chroma's in place of a class that the parent lacks."""
    from chromadb.errors import ChromaError, InternalError

    if isinstance(error, ChromaError | ValueError | TypeError):
        return error
    return InternalError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    # Under its own name: the parent knows the classes of calls and replies by it.
    from database.index.isolation.store_process import main as serve

    serve(sys.argv[1:])
