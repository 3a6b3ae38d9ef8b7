"""Fixtures of tests that change a built index: a copy of it for each test."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import Store, open_store
from tests.database.made_indexes import clear
from tests.files.pages import PAGES, builder, write_pages
from tests.servers.chroma import ChromaServer


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pages`, the module's BUILT_PAGES if it has any, and their `index`."""
    folder = tmp_path_factory.mktemp("built")
    pages = getattr(request.module, "BUILT_PAGES", PAGES)
    with closing(open_store(str(folder / "index"), create=True)) as store:
        builder(store).build(write_pages(folder / "pages", pages))
    return folder


@pytest.fixture
def pages(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "pages", tmp_path / "pages"))


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(str(shutil.copytree(built / "index", tmp_path / "index")))) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store that the tests of a module share."""
    folder = tmp_path_factory.mktemp("shared") / "index"
    with closing(open_store(str(folder), create=True)) as opened:
        yield opened


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path_factory.mktemp("server") / "chroma") as running:
        yield running


@pytest.fixture
def target(server: ChromaServer) -> Iterator[Store]:
    """An empty store on a server; embedded ones take longer to check."""
    with closing(open_store(server.url)) as empty:
        clear(empty)
        yield empty


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[Store]:
    """An empty store in a folder."""
    with closing(open_store(str(tmp_path / "index"), create=True)) as empty:
        yield empty


@pytest.fixture(params=["empty_store", "target"])
def either_store(request: pytest.FixtureRequest) -> Store:
    store: Store = request.getfixturevalue(request.param)
    return store
