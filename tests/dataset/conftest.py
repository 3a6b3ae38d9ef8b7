"""A server of three pages, and fetches into a folder."""

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
