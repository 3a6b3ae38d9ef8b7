"""Runs an embedded store in a child process, which a watchdog ends when it hangs.

Chroma's native code keeps Python's global lock while it writes, and on a full disk a write may
never return: in the service's own process, it would stop every search. The client in this process
is Chroma's own; only the native library that it calls is in the child (`store_process`).

A child that died, or hung and was ended, is replaced at the next call.
"""

import itertools
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from contextlib import suppress
from functools import cache, partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from database.index.disk_space import (
    BOOKKEEPING_BYTES,
    check_space,
    row_bytes,
    space_error,
)
from database.index.isolation.store_process import StoreCall, StoreReply
from utils.errors import StoreProcessError
from utils.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

log = logging.getLogger(__name__)

HANG_SECONDS = 20.0
"""A process hangs that uses hardly any CPU, and reads and writes nothing, for this long during a
call. A write that waits for another process's lock of SQLite gives up sooner."""
_MAX_CALL_SECONDS = 1800.0
"""No call takes longer: replaying a million rows from Chroma's log takes minutes."""
_POLL_SECONDS = 1.0
_MAX_IDLE_CPU = 0.025
"""Share of a core that calls use while they wait: they ask for SQLite's lock again and again."""
_CLOSE_SECONDS = 10.0
"""How long the calls in progress may take to end when the store is closed."""
_ROWS = ("add", "upsert", "update")
_WRITES = (*_ROWS, "create_collection", "update_collection", "delete_collection", "delete")
_VECTORS, _DOCUMENTS = 2, 4
"""Places of these arguments in the calls that write rows."""


def open_isolated(folder: Path) -> "tuple[ClientAPI, IsolatedStore]":
    """Open an embedded store in a child process; the caller must close both results.

    Raises:
        ChromaError: the store cannot be opened.
        StoreProcessError, DiskFullError: the child died or hung.
    """
    from chromadb.api import ServerAPI
    from chromadb.api.client import Client
    from chromadb.config import Settings as ChromaSettings
    from chromadb.config import System

    store = IsolatedStore(folder)
    # The name only identifies the client. The system is not started, which would open the folder.
    name = f"{folder}-{id(store)}"
    settings = ChromaSettings(
        anonymized_telemetry=False,
        chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
        is_persistent=True,
        persist_directory=name,
    )
    system = System(settings)
    server: Any = system.instance(ServerAPI)  # type: ignore[type-abstract]
    server.bindings = store
    try:
        return Client.from_system(system), store
    except BaseException:
        store.close()
        raise


class IsolatedStore:
    """Stands in for the object of Chroma's library that is an open folder.

    Each of that object's functions is called in the child.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._starting = threading.Lock()
        self._child: _Child | None = None
        self._is_closed = False

    def __getattr__(self, function: str) -> Any:
        if function.startswith("_"):
            raise AttributeError(function)
        return partial(self._call, function)

    def _call(self, function: str, *arguments: Any) -> Any:
        if function in _WRITES:
            self._check_space(function, arguments)
        child = self._living()
        try:
            return child.call(function, arguments)
        except StoreProcessError as error:
            raise (space_error(self._folder) or error) from error

    def _check_space(self, function: str, arguments: tuple[Any, ...]) -> None:
        """Check that the rows to write fit, or that something small does."""
        texts = arguments[_DOCUMENTS] if function in _ROWS else None
        if texts is None:
            check_space(self._folder, reserve=BOOKKEEPING_BYTES)
        else:
            check_space(self._folder, row_bytes(texts, arguments[_VECTORS]))

    def _living(self) -> "_Child":
        with self._starting:
            if self._is_closed:
                raise StoreProcessError(f"The index at {self._folder} was closed.")
            if self._child is None or self._child.has_ended:
                # A child ends with the thread that has started it, so that thread must not end.
                self._child = _starter().submit(_Child, self._folder).result()
            return self._child

    def close(self) -> None:
        """Let the calls in progress end, and end the child."""
        with self._starting:
            self._is_closed = True
            if self._child is not None:
                self._child.close()


@cache
def _starter() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-process")


class _Child:
    """A running child process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "database.index.isolation.store_process"]
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [*command, str(folder), str(theirs.fileno())],
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(os.dup(self._socket.fileno()))
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        opened: Future[Any] = Future()
        self._waiting: dict[int, Future[Any]] = {0: opened}
        self._end = ""
        """How it ended; "" while it runs."""
        self._receiver = threading.Thread(target=self._receive, name="store-replies", daemon=True)
        self._receiver.start()
        try:
            self._wait(opened, "open")
        except BaseException:
            self.close()
            raise

    @property
    def has_ended(self) -> bool:
        return bool(self._end)

    def call(self, function: str, arguments: tuple[Any, ...]) -> Any:
        """Call a function; returns or raises what it does.

        Raises:
            StoreProcessError: the process died, or hung and was ended.
        """
        result: Future[Any] = Future()
        with self._sending:
            if self._end:
                raise self._error()
            number = next(self._numbers)
            self._waiting[number] = result
            with suppress(OSError):  # it has just died; `_receive` then fails the call
                self._connection.send(StoreCall(number, function, arguments))
        return self._wait(result, function)

    def _wait(self, result: "Future[Any]", function: str) -> Any:
        """The result of a call; ends a process that hangs."""
        began = active = time.monotonic()
        before = self._usage()
        while True:
            try:
                return result.result(timeout=_POLL_SECONDS)
            except NotYetError:
                now, usage = time.monotonic(), self._usage()
                idle = _MAX_IDLE_CPU * HANG_SECONDS
                if usage[0] > before[0] + idle or usage[1:] != before[1:]:
                    active, before = now, usage
                if now - active > HANG_SECONDS or now - began > _MAX_CALL_SECONDS:
                    self._kill(function)

    def _usage(self) -> tuple[float, ...]:
        """The seconds of CPU and the bytes read and written so far."""
        try:
            process = psutil.Process(self._process.pid)
            cpu = process.cpu_times()
            transferred = process.io_counters() if sys.platform == "linux" else None
        except psutil.Error:
            return (0.0,)
        bytes_ = (transferred.read_bytes, transferred.write_bytes) if transferred else ()
        return (cpu.user + cpu.system, *bytes_)

    def _kill(self, function: str) -> None:
        with self._sending:
            if self._end:
                return
            self._end = f"hung in {function} and was ended"
        log.error("Process %d, which writes %s, %s", self._process.pid, self._folder, self._end)
        self._process.kill()  # `_receive` then fails all calls that wait

    def _receive(self) -> None:
        """Hand the replies to those who wait for them, until the process ends."""
        with suppress(EOFError, OSError):
            while True:
                reply: StoreReply = self._connection.recv()
                result = self._waiting.pop(reply.number)
                if reply.error is None:
                    result.set_result(reply.value)
                else:
                    result.set_exception(reply.error)
        status = self._process.wait()
        with self._sending:
            self._end = self._end or f"ended with status {status}"
            self._connection.close()
            self._socket.close()
        for result in self._waiting.values():
            result.set_exception(self._error())

    def _error(self) -> StoreProcessError:
        return StoreProcessError(
            f"The process that writes {self._folder} {self._end}. Another one is started.",
            detail=f"The process that writes the index {self._end}. Send the change again.",
        )

    def close(self) -> None:
        """Let the calls in progress end, and the process."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        self._receiver.join(_CLOSE_SECONDS)
        if self._receiver.is_alive():
            self._process.kill()
            self._receiver.join()
