"""A local server with the protocol of container registries: tokens, and manifests by tag."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

from tests.servers.threaded import QuietHandler, http_server

TOKEN = "anonymous-token"


@dataclass
class RegistryServer:
    """The server's images, and the requests received."""

    url: str
    digests: dict[str, str]
    """The digest of each image by repository:tag."""
    asked: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The server as it precedes the name of an image."""
        return self.url.removeprefix("http://")


@contextmanager
def registry_server(digests: dict[str, str], *, protected: bool = True) -> Iterator[RegistryServer]:
    """Serve images on a free loopback port.

    Args:
        digests: As in RegistryServer.
        protected: Whether manifests require a token, as they do on Docker Hub.
    """
    server: RegistryServer

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            repository, _, tag = self.path.removeprefix("/v2/").partition("/manifests/")
            server.asked.append(f"HEAD {self.path}")
            accepts_lists = "image.index" in self.headers["Accept"]
            if protected and self.headers["Authorization"] != f"Bearer {TOKEN}":
                fields = f'realm="{server.url}/token",service="here",scope="{repository}:pull"'
                self.send(HTTPStatus.UNAUTHORIZED, {"WWW-Authenticate": f"Bearer {fields}"})
            elif (digest := server.digests.get(f"{repository}:{tag}")) and accepts_lists:
                self.send(HTTPStatus.OK, {"Docker-Content-Digest": digest.strip()})
            else:
                self.send(HTTPStatus.NOT_FOUND, {})

        def do_GET(self) -> None:
            server.asked.append(f"GET {self.path}")
            self.send(HTTPStatus.OK, {}, f'{{"token": "{TOKEN}"}}'.encode())

    with http_server(Handler) as url:
        server = RegistryServer(url, digests)
        yield server
