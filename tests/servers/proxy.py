"""A local proxy that forwards HTTP (absolute-form and CONNECT) and SOCKS5, and records for whom."""

import re
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self
from urllib.parse import urlsplit

_ABSOLUTE = re.compile(rb"\A([A-Z]+) http://[^/ ]+")


class ProxyServer:
    """A context manager; hosts in `places` are on these local ports, all others refuse."""

    def __init__(self, places: Mapping[str, int]) -> None:
        self.requested: list[str] = []
        """The host of each connection."""
        proxy = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                client: socket.socket = self.request
                with suppress(OSError, struct.error):
                    is_socks = client.recv(1, socket.MSG_PEEK) == b"\x05"
                    host = _socks_host(client) if is_socks else _http_host(client)
                    proxy.requested.append(host)
                    with socket.create_connection(("127.0.0.1", places[host])) as server:
                        _relay(client, server)

            def finish(self) -> None:
                self.request.close()

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _http_host(client: socket.socket) -> str:
    """The host of a request, which stays in the socket, or of CONNECT, which is accepted."""
    first = client.recv(1 << 16, socket.MSG_PEEK)
    method, target, _ = first.split(b"\r\n")[0].decode().split(" ")
    if method != "CONNECT":
        return urlsplit(target).hostname or ""
    client.recv(len(first))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    return target.rpartition(":")[0]


def _socks_host(client: socket.socket) -> str:
    """The host of a SOCKS5 request for a name (RFC 1928), which is accepted."""
    _, methods = client.recv(2)
    client.recv(methods)
    client.sendall(b"\x05\x00")
    *_, length = client.recv(5)
    host = client.recv(length).decode()
    client.recv(2)
    client.sendall(b"\x05\x00\x00\x01" + bytes(6))
    return host


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Copy both directions until one ends; a server expects no absolute addresses."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 16):
                target.sendall(_ABSOLUTE.sub(rb"\1 ", block))
            target.shutdown(socket.SHUT_WR)

    back = threading.Thread(target=copy, args=(server, client), daemon=True)
    back.start()
    copy(client, server)
    back.join(5)
