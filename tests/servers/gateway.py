"""A local proxy in front of a Chroma server that can respond in its place as nginx would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

import httpx

from tests.servers.threaded import QuietHandler, http_server


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

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            refusal = gateway.refusal
            if gateway.token and self.headers["Authorization"] != f"Bearer {gateway.token}":
                refusal = HTTPStatus.UNAUTHORIZED
            if refusal:
                page = f"<html><h1>{refusal.value}</h1></html>".encode()
                self.send(refusal, {"Content-Type": "text/html"}, page)
                return
            kind = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            passed = httpx.request(self.command, f"{behind}{self.path}", content=body, headers=kind)
            kind = {"Content-Type": passed.headers["Content-Type"]}
            self.send(passed.status_code, kind, passed.content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names in the standard library

    with http_server(Handler) as url:
        gateway = GatewayServer(url)
        yield gateway
