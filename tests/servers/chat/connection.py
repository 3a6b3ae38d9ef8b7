"""HTTP/1.1 for the local chat servers, including connection failures."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from http import HTTPStatus

from tests.servers.chat.replies import Request

RESET_AFTER = 0.01
"""Seconds for the client to read the sent data before a reset that could overtake it."""


class WatchfulReader(asyncio.StreamReader):
    """Detects a disconnect immediately, even while nothing reads from it."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def feed_eof(self) -> None:
        super().feed_eof()
        self._set_gone()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self._set_gone()

    def _set_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Wait for the next request on a connection.

    Raises:
        asyncio.IncompleteReadError: the client has disconnected.
    """
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    named = (line.partition(":") for line in lines if line)
    headers = {name.lower(): value.strip() for name, _, value in named}
    content = await reader.readexactly(int(headers.get("content-length", 0)))
    path = first.split(" ")[1].partition("?")[0]
    return Request(path, headers, json.loads(content or b"{}"), time.monotonic())


def head(status: int, headers: Mapping[str, object]) -> bytes:
    """The status line and headers of a response."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(content: bytes) -> bytes:
    """Frame a chunk of a body of unknown length (RFC 9112, 7.1); an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(content), content)


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection like a crashed machine: with RST instead of FIN."""
    await asyncio.sleep(RESET_AFTER)
    connection: socket.socket = writer.get_extra_info("socket")
    no_linger = struct.pack("ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    writer.transport.abort()
