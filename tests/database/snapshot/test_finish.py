"""A pull replaces the journal's visible documents, and keeps pending entries."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from database.index.digests import Digests
from database.index.store import Store, open_store
from database.journal import purge as purging
from database.journal import staging
from database.journal.purge import finish_purge, has_unfinished_purge, rename_into_place
from database.journal.uploads import UPLOADS, Uploads
from database.snapshot import upload_rows
from tests.database.changing.meanwhile import Meanwhile
from tests.database.changing.steps import accept_job
from tests.database.dying_store import DyingStore, KilledError
from tests.database.made_indexes import chunks_of, document, make_index, upload, uploaded
from tests.database.snapshot.steps import assert_finished, make_interrupted_pull, pending_changes

QUIET = 0.01
pytestmark = pytest.mark.process


def test_last_job_is_replaced_even_if_not_marked(store: Store) -> None:
    """Its entries look pending, but the previous index has them."""
    before = make_index(store, chunks_of("Before."), "index-before")
    _, _, fingerprint = store.live_collection()
    accept_job(store, "put", [document("waits.md", "# Waits\n\nOak.\n")])
    Uploads(store).add("job-last", [document("last.md", "Last.")])
    changed = fingerprint.after(removed=[], added=[], difference=Digests())
    store.advance(before, "job-last", changed)
    staging.stage_uploads(store, "index-pulled", [], before.revision + 2)
    make_index(store, chunks_of("Pulled."), "index-pulled")

    staging.publish_staged_uploads(store, QUIET)

    assert Uploads(store).of_job("job-last") == []
    assert pending_changes(store) == [("waits.md", False)]


def test_late_rows_through_an_old_handle_stay_pending(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_interrupted_pull(store)
    old = store.get_or_create(UPLOADS)
    found: Any = old.get(where={"document": "late.md"}, include=["metadatas", "embeddings"])
    (fields,) = found["metadatas"]

    def write(name: str) -> None:
        row = {**fields, "document": name, "job": f"job-{name}"}
        old.upsert(
            ids=[f"job-{name}-00000/0"],
            embeddings=found["embeddings"],
            documents=[name],
            metadatas=[row],
        )

    monkeypatch.setattr(
        purging, "time", Meanwhile(lambda: write("later.md"), lambda: write("last.md"))
    )
    staging.publish_staged_uploads(store, QUIET)

    assert_finished(store, "last.md", "later.md")


def test_service_that_creates_uploads_between_the_renames_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_interrupted_pull(store)

    def upload_first(*arguments: Any) -> None:
        monkeypatch.setattr(staging, "rename_into_place", rename_into_place)
        Uploads(store).add("job-hasty", [document("hasty.md", "Hasty.")])
        rename_into_place(*arguments)

    monkeypatch.setattr(staging, "rename_into_place", upload_first)
    staging.publish_staged_uploads(store, QUIET)

    assert_finished(store, "hasty.md")


def test_service_that_creates_uploads_after_a_killed_pull_loses_nothing(store: Store) -> None:
    make_interrupted_pull(store)
    with pytest.raises(KilledError):  # one deletes, one renames
        staging.publish_staged_uploads(DyingStore(store, writes=2), QUIET)
    Uploads(store).add("job-hasty", [document("hasty.md", "Hasty.")])
    assert has_unfinished_purge(store)

    staging.publish_staged_uploads(store, QUIET)

    assert_finished(store, "hasty.md")


def finish_purge_first(store: Store) -> None:
    finish_purge(store, QUIET)
    staging.publish_staged_uploads(store, QUIET)


def publish_first(store: Store) -> None:
    staging.publish_staged_uploads(store, QUIET)
    finish_purge(store, QUIET)


@pytest.mark.parametrize("resume", [finish_purge_first, publish_first])
def test_publication_killed_at_any_write_can_be_repeated(
    resume: Callable[[Store], None], tmp_path: Path
) -> None:
    kills = 0
    while True:
        with closing(open_store(str(tmp_path / f"index-{kills}"), create=True)) as store:
            make_interrupted_pull(store)
            try:
                staging.publish_staged_uploads(DyingStore(store, writes=kills), QUIET)
            except KilledError:
                kills += 1
            else:
                assert_finished(store)
                break
            resume(store)
            assert_finished(store)
            assert not has_unfinished_purge(store), f"killed before write {kills}"
    assert kills >= 5


@pytest.mark.parametrize("index", ["index-given-up", "index-gone"])
def test_staged_uploads_of_killed_pulls_are_deleted(index: str, store: Store) -> None:
    live = make_index(store, chunks_of("Mine."))
    upload(store, "job-1", document("mine.md", "Mine."))
    if index == "index-given-up":
        store.create(index, {"made_for": index}, 2)
    staging.stage_uploads(store, index, upload_rows.read_upload_rows(store, live), 7)

    staging.publish_staged_uploads(store, QUIET)

    assert store.collection_names("uploads") == [UPLOADS]
    assert uploaded(store) == {"mine.md": "Mine."}


def test_nothing_is_written_if_nothing_was_staged(store: Store) -> None:
    make_index(store, chunks_of("Mine."))
    upload(store, "job-1", document("mine.md", "Mine."))
    id_ = store.get_or_create(UPLOADS).id
    staging.publish_staged_uploads(DyingStore(store, writes=0))
    assert store.get_or_create(UPLOADS).id == id_
