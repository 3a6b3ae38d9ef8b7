"""Chroma's vector files: those of deleted collections are removed, and unused rows zeroed."""

import os
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from database.index import tidy
from database.index.store import NEVER_SYNC, Store, open_store
from database.index.vector_files import remove_orphaned_folders, zero_unused_rows
from tests.servers.chroma import ChromaServer

SECRET = b"Xylophagous"
NEAR_A = [1.0, 2.0]

pytestmark = pytest.mark.process


def create_with_two_rows(store: Store, name: str) -> None:
    """A collection whose HNSW graph is on disk."""
    collection = store.create(name, {"made_for": name}, rows=2)
    vectors: list[Sequence[float]] = [NEAR_A, [2.0, 1.0]]
    collection.add(ids=["a", "b"], embeddings=vectors, documents=["a", "b"])
    collection.query(query_embeddings=NEAR_A, n_results=1)


def finds_a(store: Store, name: str) -> bool:
    found = store.get_or_create(name).query(query_embeddings=NEAR_A, n_results=1)
    return found["ids"] == [["a"]]


def test_only_folders_of_deleted_collections_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    store = open_store(str(folder), create=True)
    for name in ("kept", "gone", "gone-too"):
        create_with_two_rows(store, name)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    link = folder / str(uuid.uuid4())
    link.symlink_to(outside)
    others = [folder / "backup", folder / str(uuid.uuid4()).upper(), folder / uuid.uuid4().hex]
    for other in others:
        other.mkdir()
    file = folder / str(uuid.uuid4())
    file.touch()
    store.delete("gone")
    store.delete("gone-too")
    before = set(folder.iterdir())

    assert remove_orphaned_folders(str(folder)) == 2

    left = set(folder.iterdir())
    assert len(before - left) == 2
    assert left > {link, file, *others}
    assert (outside / "file").exists()
    assert remove_orphaned_folders(str(folder)) == 0
    store.close()
    with closing(open_store(str(folder))) as reopened:
        assert finds_a(reopened, "kept")


def test_tidy_removes_folders_while_the_server_runs(
    chroma_server: ChromaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(chroma_server.url)
    for name in ("kept", "gone"):
        create_with_two_rows(store, name)
    store.delete("gone")

    assert remove_orphaned_folders(chroma_server.url) == 0
    assert tidy.main([str(chroma_server.folder)]) == 0
    assert "of 1 deleted" in capsys.readouterr().out
    assert tidy.main([str(chroma_server.folder)]) == 0
    assert "of 0 deleted" in capsys.readouterr().out

    chroma_server.kill()
    chroma_server.start()
    assert finds_a(store, "kept")
    store.close()


def test_tidy_refuses_a_folder_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidy.main([str(tmp_path)]) == 1
    assert "no chroma.sqlite3" in capsys.readouterr().err


def test_free_space_is_zeroed_and_rows_are_kept(tmp_path: Path) -> None:
    """For a collection that was persisted to its files, and one that never was."""
    folder = str(tmp_path)
    store = open_store(folder, create=True)
    vectors: list[Sequence[float]] = [[float(n), 200.0 - n] for n in range(60)]
    ids = [str(n) for n in range(60)]
    for name, rows in (("saved", 50), ("never-saved", NEVER_SYNC)):
        collection = store.create(name, {"made_for": name}, rows)
        collection.add(ids=ids[:50], embeddings=vectors[:50])
        collection.add(ids=ids[50:], embeddings=vectors[50:])
    files = list(tmp_path.rglob("data_level0.bin"))
    for file in files:  # as a process does that has the text in memory
        with file.open("r+b") as opened:
            opened.seek(-len(SECRET), os.SEEK_END)
            opened.write(SECRET)

    assert zero_unused_rows(folder) == len(files) == 2

    assert not any(SECRET in file.read_bytes() for file in tmp_path.rglob("*.*"))
    store.close()
    for reopened in (open_store(folder), open_store(folder)):
        for name in ("saved", "never-saved"):
            found = reopened.get_or_create(name)
            assert found.count() == 60
            for n in (0, 49, 59):
                nearest = found.query(query_embeddings=list(vectors[n]), n_results=1)
                assert nearest["ids"] == [[ids[n]]]
        reopened.close()


@pytest.mark.parametrize("content", [b"", b"no database at all, but a text"])
def test_no_folder_is_removed_if_the_store_is_unreadable(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(content)
    folder = tmp_path / str(uuid.uuid4())
    folder.mkdir()

    assert remove_orphaned_folders(str(tmp_path)) == 0
    assert folder.is_dir()
