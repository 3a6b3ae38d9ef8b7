"""After a purge and a vacuum no file contains deleted text, and nothing else is lost."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from database.index import tidy
from database.index.hnsw import NEVER_SYNC
from database.index.store import OUTGOING, Store, open_store
from database.index.vector_files import remove_orphaned_folders, zero_unused_rows
from database.journal import purge as purging
from database.journal.jobs import JOBS, Job, Jobs
from database.journal.purge import (
    INCOMING,
    finish_purge,
    has_unfinished_purge,
    rewrite_journal,
)
from database.journal.uploads import UPLOADS, Uploads
from tests.database.changing.meanwhile import Meanwhile
from tests.database.changing.steps import document
from tests.database.dying_store import DyingStore, KilledError
from tests.servers.chroma import ChromaServer

SECRET = "Xylophagous"
QUIET = 0.01
NEAR_A = [1.0, 2.0]

pytestmark = pytest.mark.process

Rows = dict[str, dict[str, tuple[Any, ...]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    opened = open_store(str(folder), create=True)
    yield opened
    opened.close()


class Vector(list[float]):
    """Vectors that Chroma returns differ slightly from those stored."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and bool(np.allclose(self, other, rtol=1e-6, atol=1e-3))


def filled(store: Store, documents: int = 40) -> Rows:
    """Add several pages of uploads, each with its job; return all rows."""
    for number in range(documents):
        job = replace(Job.new("put"), state="done")
        Uploads(store).add(job.id, [document(f"page-{number}.md", f"# Page\n\nWord{number}.\n")])
        Jobs(store).add(job)
    return all_rows(store)


def all_rows(store: Store) -> Rows:
    """All rows of the two collections."""
    rows: Rows = {}
    for name in (UPLOADS, JOBS):
        collection = store.find(name)
        assert collection is not None
        page: Any = collection.get(include=["documents", "metadatas", "embeddings"])
        vectors = [Vector(vector) for vector in page["embeddings"].tolist()]
        columns = (page["documents"], page["metadatas"], vectors)
        rows[name] = dict(zip(page["ids"], zip(*columns, strict=True), strict=True))
    return rows


def collections(store: Store) -> list[str]:
    return store.collection_names("")


def vacuum(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("chroma")), "vacuum", "--force", "--path"]
    subprocess.run([*command, str(folder)], check=True, capture_output=True, timeout=60)


def is_in_a_file(word: str, folder: Path) -> bool:
    return any(word.encode() in p.read_bytes() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("renewed", [True, False])
def test_deleted_upload_is_in_no_file_after_a_purge_and_a_vacuum(
    renewed: bool, folder: Path
) -> None:
    store = open_store(str(folder), create=True)
    before = filled(store)
    job = replace(Job.new("put"), state="done", detail=f"{SECRET}Name")
    Uploads(store).add(job.id, [document("secret.md", f"# S\n\n{SECRET}Text.\n")])
    Jobs(store).add(job)
    uploads, jobs = store.find(UPLOADS), store.find(JOBS)
    assert uploads is not None
    assert jobs is not None
    Uploads(store).delete(Uploads(store).of_job(job.id))
    jobs.delete(ids=[job.id])
    if renewed:
        rewrite_journal(store, QUIET)
        remove_orphaned_folders(str(folder))
        zero_unused_rows(str(folder))
    store.close()

    vacuum(folder)

    assert is_in_a_file(f"{SECRET}Text", folder) != renewed
    assert is_in_a_file(f"{SECRET}Name", folder) != renewed
    reopened = open_store(str(folder))
    assert all_rows(reopened) == before
    reopened.close()


def test_rewritten_collections_are_new_and_never_synced_like_the_old(store: Store) -> None:
    before = filled(store, 3)
    ids = {name: store.get_or_create(name).id for name in (UPLOADS, JOBS)}

    rewrite_journal(store, QUIET)

    assert all_rows(store) == before
    assert collections(store) == [JOBS, UPLOADS]
    for name, id_ in ids.items():
        collection = store.get_or_create(name)
        assert collection.id != id_
        assert collection.configuration["hnsw"]["sync_threshold"] == NEVER_SYNC  # type: ignore[index]
        assert collection.metadata == {"made_for": name}


def test_store_without_uploads_is_left_unchanged(store: Store) -> None:
    rewrite_journal(store, QUIET)
    finish_purge(store, QUIET)

    assert collections(store) == []


@pytest.mark.parametrize("finish", [finish_purge, rewrite_journal])
def test_purge_killed_between_any_two_writes_is_finished_by_the_next_writer(
    finish: Callable[[Store, float], None], store: Store
) -> None:
    Jobs(store).add(replace(Job.new("put"), state="accepting"))  # forever: its service was killed
    before = filled(store, 20)
    kills = 0
    while True:
        old = {name: store.get_or_create(name).id for name in (UPLOADS, JOBS)}
        dying = DyingStore(store, writes=kills)
        try:
            rewrite_journal(dying, QUIET)
        except KilledError:
            kills += 1
        else:
            break
        unsettled = has_unfinished_purge(store)

        finish(store, QUIET)

        assert all_rows(store) == before
        assert collections(store) == [JOBS, UPLOADS]
        assert not has_unfinished_purge(store)
        unmoved = old == {name: store.get_or_create(name).id for name in (UPLOADS, JOBS)}
        assert finish is rewrite_journal or unsettled or unmoved
    assert kills >= 12
    assert all_rows(store) == before


def test_killed_finish_of_a_purge_is_repeated(store: Store) -> None:
    before = filled(store, 20)
    # Both are at the worst point: one rename done, and its old name taken by a new collection.
    kills = 0
    while True:
        for name in (UPLOADS, JOBS):
            store.get_or_create(name).modify(name=name + OUTGOING)
            store.get_or_create(name)
            store.create(name + INCOMING, {"made_for": name}, NEVER_SYNC)
        dying = DyingStore(store, writes=kills)
        try:
            finish_purge(dying, QUIET)
        except KilledError:
            kills += 1
        else:
            break
        finish_purge(store, QUIET)
        assert all_rows(store) == before
        assert collections(store) == [JOBS, UPLOADS]
    assert kills > 5
    assert all_rows(store) == before


def test_rows_written_through_old_handles_are_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late text is kept, and a job being accepted before the purge is accepted."""
    before = filled(store, 3)
    job = replace(Job.new("put"), state="accepting")
    Jobs(store).add(job)
    old = {name: store.get_or_create(name) for name in (UPLOADS, JOBS)}
    scratch = open_store(str(Path(store.database).with_name("other")), create=True)
    Uploads(scratch).add(job.id, [document("late.md", "# Late\n\nLate.\n")])
    Jobs(scratch).add(replace(job, state="queued"))
    late = {name: _first_row(scratch, name) for name in (UPLOADS, JOBS)}
    scratch.close()

    def add_text() -> None:
        old[UPLOADS].upsert(**late[UPLOADS])

    def accept() -> None:
        old[JOBS].update(ids=[job.id], metadatas=late[JOBS]["metadatas"])

    monkeypatch.setattr(purging, "time", Meanwhile(add_text, accept))
    rewrite_journal(store, QUIET)

    assert [entry.document for entry in Uploads(store).of_job(job.id)] == ["late.md"]
    assert [found.state for found in Jobs(store).unfinished()] == ["queued"]
    after = all_rows(store)
    assert all(before[name].items() <= after[name].items() for name in before)


def _create_with_two_rows(store: Store, name: str) -> None:
    """A collection whose HNSW graph is on disk."""
    collection = store.create(name, {"made_for": name}, rows=2)
    vectors: list[Sequence[float]] = [NEAR_A, [2.0, 1.0]]
    collection.add(ids=["a", "b"], embeddings=vectors, documents=["a", "b"])
    collection.query(query_embeddings=NEAR_A, n_results=1)


def _first_row(store: Store, name: str) -> dict[str, Any]:
    page: Any = store.get_or_create(name).get(include=["documents", "metadatas", "embeddings"])
    return {key: page[key] for key in ("ids", "documents", "metadatas", "embeddings")}


def test_reader_without_the_lock_finds_all_except_between_the_renames(store: Store) -> None:
    before = filled(store, 20)
    seen: list[bool] = []

    class Watched(DyingStore):
        def count(self) -> None:
            found = store.find(UPLOADS)
            seen.append(found is not None and found.count() == len(before[UPLOADS]))

    rewrite_journal(Watched(store, writes=0), QUIET)

    assert seen.count(False) == 1


def test_rewrite_works_on_a_server(chroma_server: ChromaServer) -> None:
    store = open_store(chroma_server.url)
    before = filled(store, 20)

    rewrite_journal(store, QUIET)

    assert all_rows(store) == before
    assert collections(store) == [JOBS, UPLOADS]
    assert remove_orphaned_folders(chroma_server.url) == 0
    store.close()


def test_only_folders_of_deleted_collections_are_removed(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    for name in ("kept", "gone", "gone-too"):
        _create_with_two_rows(store, name)
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
    reopened = open_store(str(folder))
    kept = reopened.find("kept")
    assert kept is not None
    assert kept.query(query_embeddings=NEAR_A, n_results=1)["ids"] == [["a"]]
    reopened.close()


def test_tidy_removes_folders_while_the_server_runs(
    chroma_server: ChromaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(chroma_server.url)
    for name in ("kept", "gone"):
        _create_with_two_rows(store, name)
    store.delete("gone")

    assert tidy.main([str(chroma_server.folder)]) == 0
    assert "of 1 deleted" in capsys.readouterr().out
    assert tidy.main([str(chroma_server.folder)]) == 0
    assert "of 0 deleted" in capsys.readouterr().out

    chroma_server.kill()
    chroma_server.start()
    kept = store.find("kept")
    assert kept is not None
    assert kept.query(query_embeddings=NEAR_A, n_results=1)["ids"] == [["a"]]
    store.close()


def test_tidy_refuses_a_folder_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tidy.main([str(tmp_path)]) == 1
    assert "no chroma.sqlite3" in capsys.readouterr().err


def test_free_space_is_zeroed_and_rows_are_kept(folder: Path) -> None:
    """For a collection that was persisted to its files, and one that never was."""
    store = open_store(str(folder), create=True)
    vectors: list[Sequence[float]] = [[float(n), 200.0 - n] for n in range(60)]
    ids = [str(n) for n in range(60)]
    for name, rows in (("saved", 50), ("never-saved", NEVER_SYNC)):
        collection = store.create(name, {"made_for": name}, rows)
        collection.add(ids=ids[:50], embeddings=vectors[:50])
        collection.add(ids=ids[50:], embeddings=vectors[50:])
    files = list(folder.rglob("data_level0.bin"))
    for file in files:  # as a process does that has the text in memory
        with file.open("r+b") as opened:
            opened.seek(-len(SECRET), os.SEEK_END)
            opened.write(SECRET.encode())

    assert zero_unused_rows(str(folder)) == len(files) == 2

    assert not is_in_a_file(SECRET, folder)
    store.close()
    for reopened in (open_store(str(folder)), open_store(str(folder))):
        for name in ("saved", "never-saved"):
            found = reopened.find(name)
            assert found is not None
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
