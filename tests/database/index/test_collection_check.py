"""Damage to a collection of an embedded store is found without harm to this process."""

import shutil
from pathlib import Path

import pytest

from database.index.checks.collection_check import check_collection, is_readable
from database.index.store import Store, open_store
from tests.database.made_indexes import damage
from utils.errors import IndexDamagedError

pytestmark = pytest.mark.process

ROWS = 5
METADATA = {"made_for": "this test"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store whose collection `written` has HNSW files, and whose `empty` has no rows."""
    store = open_store(str(tmp_path / "store"), create=True)
    collection = store.create("written", METADATA, ROWS)
    vectors = [[float(row), 1.0] for row in range(ROWS)]
    collection.add(ids=[str(row) for row in range(ROWS)], embeddings=vectors)  # type: ignore[arg-type]
    store.create("empty", METADATA)
    return store


def test_readable_collection_is_counted_and_opened(store: Store) -> None:
    check = check_collection(store, "written")
    assert check.rows == ROWS
    assert check.seconds_to_open > 0


def test_empty_collection_is_readable(store: Store) -> None:
    assert check_collection(store, "empty").rows == 0


def test_missing_collection_is_damage(store: Store) -> None:
    with pytest.raises(IndexDamagedError, match="opening it ended with status 1"):
        check_collection(store, "missing")


def test_overwritten_vectors_are_damage(store: Store) -> None:
    store.close()
    damage(Path(store.database))
    assert not is_readable(store, "written")


def test_missing_vectors_are_damage(store: Store) -> None:
    store.close()
    (vectors,) = Path(store.database).rglob("data_level0.bin")
    shutil.rmtree(vectors.parent)
    assert not is_readable(store, "written")
