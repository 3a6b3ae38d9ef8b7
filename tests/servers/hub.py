"""A local server with the Hugging Face Hub's protocol and scripted failures.

In a container, `python -m tests.servers.hub NAME FOLDER` serves a folder's model on port 9000.
"""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.servers.threaded import QuietHandler, http_server

REVISION = "e4ce9877abf3edfe10b0d82785e83bdcb973e22e"


@dataclass
class HubServer:
    """The server's files, its scripted failures, and the requests received."""

    url: str
    files: dict[str, bytes]
    """The files of its one model by name."""
    missing: set[str] = field(default_factory=set)
    """Files that are listed but cannot be downloaded."""
    refusal: HTTPStatus | None = None
    """The error status of every response, if set."""
    silent: bool = False
    """True to accept requests and never respond."""
    asked: list[str] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def hub_server(
    name: str, files: dict[str, bytes], address: tuple[str, int] = ("127.0.0.1", 0)
) -> Iterator[HubServer]:
    """Serve one model, by default on a free loopback port."""
    server: HubServer

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append(f"{self.command} {self.path}")
            if server.silent:
                server.closing.wait(60)
                self.close_connection = True
            else:
                self.send(*self._found())

        do_HEAD = do_GET  # noqa: N815 - the name in the standard library

        def _found(self) -> tuple[HTTPStatus, dict[str, str], bytes]:
            file = self.path.removeprefix(f"/{name}/resolve/{REVISION}/")
            if server.refusal:
                return server.refusal, {}, b"{}"
            if self.path.startswith(f"/api/models/{name}"):
                siblings = [{"rfilename": each} for each in server.files]
                about = {"id": name, "modelId": name, "sha": REVISION, "siblings": siblings}
                return HTTPStatus.OK, {"Content-Type": "application/json"}, _json(about)
            if file in server.missing:
                return HTTPStatus.FORBIDDEN, {}, b""
            if file in server.files:
                body = server.files[file]
                etag = f'"{hashlib.sha256(body).hexdigest()}"'
                return HTTPStatus.OK, {"ETag": etag, "X-Repo-Commit": REVISION}, body
            missing = {"X-Error-Code": "EntryNotFound" if file != self.path else "RepoNotFound"}
            return HTTPStatus.NOT_FOUND, missing, b"{}"

    with http_server(Handler, address) as url:
        server = HubServer(url, files)
        try:
            yield server
        finally:
            server.closing.set()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


if __name__ == "__main__":
    served, folder = sys.argv[1], Path(sys.argv[2])
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    with hub_server(served, found, ("", 9000)) as hub:
        hub.closing.wait()
