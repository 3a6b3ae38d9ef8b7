"""Fixtures of tests of snapshots: an index to push, and a folder for its snapshots."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from database.index.store import Store, open_store
from tests.database.made_indexes import make_index, many_chunks


@pytest.fixture(scope="module")
def made_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of some pages of rows."""
    folder = tmp_path_factory.mktemp("source") / "index"
    with closing(open_store(str(folder), create=True)) as made:
        make_index(made, many_chunks(300))
    return folder


@pytest.fixture
def source(made_source: Path, tmp_path: Path) -> Iterator[Store]:
    """A copy of that index."""
    with closing(open_store(str(shutil.copytree(made_source, tmp_path / "source")))) as copy:
        yield copy


@pytest.fixture
def store(empty_store: Store) -> Store:
    return empty_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"
