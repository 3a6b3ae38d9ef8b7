"""After a purge and a vacuum no file contains deleted text, and nothing else is lost."""

import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from database.index.store import NEVER_SYNC, OUTGOING, Store, open_store
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
from tests.database.dying_store import DyingStore, kill_at_each_write
from tests.database.made_indexes import document

SECRET = "Xylophagous"
QUIET = 0.01

pytestmark = pytest.mark.process

Rows = dict[str, dict[str, tuple[Any, ...]]]


@pytest.fixture
def store(empty_store: Store) -> Store:
    return empty_store


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
        page: Any = store.get_or_create(name).get(include=["documents", "metadatas", "embeddings"])
        vectors = [Vector(vector) for vector in page["embeddings"].tolist()]
        columns = (page["documents"], page["metadatas"], vectors)
        rows[name] = dict(zip(page["ids"], zip(*columns, strict=True), strict=True))
    return rows


def ids_of(store: Store) -> dict[str, uuid.UUID]:
    return {name: store.get_or_create(name).id for name in (UPLOADS, JOBS)}


def vacuum(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("chroma")), "vacuum", "--force", "--path"]
    subprocess.run([*command, str(folder)], check=True, capture_output=True, timeout=60)


def is_in_a_file(word: str, folder: Path) -> bool:
    return any(word.encode() in p.read_bytes() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("renewed", [True, False])
def test_deleted_upload_is_in_no_file_after_a_purge_and_a_vacuum(
    renewed: bool, store: Store
) -> None:
    folder, before = Path(store.database), filled(store)
    job = replace(Job.new("put"), state="done", detail=f"{SECRET}Name")
    Uploads(store).add(job.id, [document("secret.md", f"# S\n\n{SECRET}Text.\n")])
    Jobs(store).add(job)
    Uploads(store).delete(Uploads(store).of_job(job.id))
    store.get_or_create(JOBS).delete(ids=[job.id])
    if renewed:
        rewrite_journal(store, QUIET)
        remove_orphaned_folders(store.database)
        zero_unused_rows(store.database)
    store.close()

    vacuum(folder)

    assert is_in_a_file(f"{SECRET}Text", folder) != renewed
    assert is_in_a_file(f"{SECRET}Name", folder) != renewed
    with closing(open_store(str(folder))) as reopened:
        assert all_rows(reopened) == before


def test_rewritten_collections_are_new_and_never_synced_like_the_old(either_store: Store) -> None:
    before, ids = filled(either_store, 20), ids_of(either_store)

    rewrite_journal(either_store, QUIET)

    assert all_rows(either_store) == before
    assert either_store.collection_names("") == [JOBS, UPLOADS]
    for name, id_ in ids.items():
        collection = either_store.get_or_create(name)
        assert collection.id != id_
        assert collection.configuration["hnsw"]["sync_threshold"] == NEVER_SYNC  # type: ignore[index]
        assert collection.metadata == {"made_for": name}


def test_store_without_uploads_is_left_unchanged(store: Store) -> None:
    rewrite_journal(store, QUIET)
    finish_purge(store, QUIET)

    assert store.collection_names("") == []


@pytest.mark.parametrize("finish", [finish_purge, rewrite_journal])
def test_purge_killed_between_any_two_writes_is_finished_by_the_next_writer(
    finish: Callable[[Store, float], None], store: Store
) -> None:
    Jobs(store).add(replace(Job.new("put"), state="accepting"))  # forever: its service was killed
    before, old = filled(store, 20), ids_of(store)
    for _ in kill_at_each_write(store, lambda dying: rewrite_journal(dying, QUIET), at_least=12):
        unsettled = has_unfinished_purge(store)

        finish(store, QUIET)

        assert all_rows(store) == before
        assert store.collection_names("") == [JOBS, UPLOADS]
        assert not has_unfinished_purge(store)
        assert finish is rewrite_journal or unsettled or old == ids_of(store)
        old = ids_of(store)
    assert all_rows(store) == before


def test_killed_finish_of_a_purge_is_repeated(store: Store) -> None:
    before = filled(store, 20)

    def finish_at_the_worst_point(dying: Store) -> None:
        # One rename of each done, and its old name taken by a new collection.
        for name in (UPLOADS, JOBS):
            store.get_or_create(name).modify(name=name + OUTGOING)
            store.get_or_create(name)
            store.create(name + INCOMING, {"made_for": name})
        finish_purge(dying, QUIET)

    for _ in kill_at_each_write(store, finish_at_the_worst_point, at_least=6):
        finish_purge(store, QUIET)
        assert all_rows(store) == before
        assert store.collection_names("") == [JOBS, UPLOADS]
    assert all_rows(store) == before


def test_rows_written_through_old_handles_are_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late text is kept, and a job being accepted before the purge is accepted."""
    before = filled(store, 3)
    job = replace(Job.new("put"), state="accepting")
    Jobs(store).add(job)
    old = {name: store.get_or_create(name) for name in (UPLOADS, JOBS)}
    with closing(open_store(f"{store.database}-other", create=True)) as scratch:
        Uploads(scratch).add(job.id, [document("late.md", "# Late\n\nLate.\n")])
        Jobs(scratch).add(replace(job, state="queued"))
        late = {name: _first_row(scratch, name) for name in (UPLOADS, JOBS)}

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
