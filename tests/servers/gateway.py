"""A local proxy in front of a Chroma server that can respond in its place as nginx would."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


@dataclass
class GatewayServer:
    """The proxy's address, and its response instead of forwarding."""

    url: str
    refusal: HTTPStatus | None = None
    token: str = ""
    """The required token, if any."""


@contextmanager
def gateway_server(behind: str) -> Iterator[GatewayServer]:
    """Serve on a free loopback port."""
    gateway: GatewayServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_PUT(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_DELETE(self) -> None:
            self._answer(b"")

        def _answer(self, body: bytes) -> None:
            refusal = gateway.refusal
            if gateway.token and self.headers["Authorization"] != f"Bearer {gateway.token}":
                refusal = HTTPStatus.UNAUTHORIZED
            if refusal:
                page = f"<html><h1>{refusal.value}</h1></html>".encode()
                self._send(refusal, "text/html", page)
                return
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            passed = httpx.request(self.command, f"{behind}{self.path}", content=body, headers=kind)
            self._send(passed.status_code, passed.headers["Content-Type"], passed.content)

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Suppress the request log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    gateway = GatewayServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
