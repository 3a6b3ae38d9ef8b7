"""Fixtures of tests of snapshots: an index to push, a store to pull into, a folder between."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import Store, open_store
from tests.database.made_indexes import clear, make_index, many_chunks
from tests.servers.chroma import ChromaServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path_factory.mktemp("target") / "chroma") as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    """An index of some pages of rows."""
    with closing(open_store(str(tmp_path / "source"), create=True)) as made:
        make_index(made, many_chunks(300))
        yield made


@pytest.fixture
def target(server: ChromaServer) -> Iterator[Store]:
    """An empty store on a server; embedded ones take longer to check."""
    with closing(open_store(server.url)) as empty:
        clear(empty)
        yield empty


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"
