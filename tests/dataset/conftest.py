"""A server of three pages, an address without a server, and fetches into a folder."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.web import Fetches, WebServer, page, web_server


@pytest.fixture
def server() -> Iterator[WebServer]:
    with web_server({f"/{name}": page(name) for name in "abc"}) as serving:
        yield serving


@pytest.fixture
def fetch(tmp_path: Path) -> Fetches:
    return Fetches(tmp_path)


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/guide.tar.gz"
