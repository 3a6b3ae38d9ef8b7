"""Fixtures of tests that change a built index: a copy of it for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from database.index.store import Store, open_store
from tests.files.pages import builder, write_pages


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pages` and the `index` built from them."""
    folder = tmp_path_factory.mktemp("built")
    store = open_store(str(folder / "index"), create=True)
    builder(store).build(write_pages(folder / "pages"))
    store.close()
    return folder


@pytest.fixture
def pages(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "pages", tmp_path / "pages"))


@pytest.fixture
def store(built: Path, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(str(shutil.copytree(built / "index", tmp_path / "index")))
    yield opened
    opened.close()
