"""A pull killed after going live loses no change: the next writer finishes it first."""

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from database.index.lock import BuildLock
from database.index.store import Store, open_store
from database.journal import staging
from database.journal.jobs import Jobs
from database.journal.uploads import UPLOADS, JournalEntry, Uploads
from database.snapshot import upload_rows
from tests.database.changing.steps import accept_job, delete, kill_once_visible, put, running, seen
from tests.database.dying_store import DyingStore, KilledError
from tests.database.made_indexes import chunks_of, document, make_index, uploaded
from tests.database.snapshot.steps import (
    PULLED,
    assert_finished,
    index_at,
    make_interrupted_pull,
    pending_changes,
    pulled,
    pulled_at_start,
    pushed,
)
from tests.files.pages import builder, write_pages
from tests.servers.service import until

QUIET = 0.01

pytestmark = pytest.mark.process


def test_pull_killed_at_any_write_after_going_live_is_finished_by_the_same_pull(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with index_at(tmp_path / "source", "Pulled.", documents=PULLED) as source:
        pushed(source, folder)
    with index_at(tmp_path / "index", "Before.", documents={"mine.md": "Mine."}) as store:
        Uploads(store).add("job-waits", [document("waits.md", "Waits.")])
        with monkeypatch.context() as dying:
            dying.setattr(staging, "publish_staged_uploads", die_once_live(store))
            with pytest.raises(KilledError):
                pulled(store, folder)
    kills = 0
    while True:
        copy = shutil.copytree(tmp_path / "index", tmp_path / f"index-{kills}")
        with closing(open_store(str(copy))) as store:
            try:
                staging.publish_staged_uploads(DyingStore(store, writes=kills), QUIET)
            except KilledError:
                kills += 1
            else:
                break
            assert not pulled(store, folder).changed
            assert uploaded(store) == PULLED
            assert pending_changes(store) == [("waits.md", False)], f"killed before write {kills}"
            assert store.collection_names("uploads") == [UPLOADS]
    assert kills >= 5


def die_once_live(store: Store) -> Callable[[Store], None]:
    """A `finish` that is killed once its own pull is live; earlier calls do nothing."""

    def finish(_: Store) -> None:
        live = store.live()
        if live and staging.has_staged_uploads(store, live.name):
            raise KilledError

    return finish


def current_entries(store: Store) -> dict[str, JournalEntry]:
    return Uploads(store).current(store.live_collection()[0])


def test_changes_after_a_pull_killed_at_its_end_are_kept(store: Store) -> None:
    """Documents are not replaced a second time once they are in place."""
    make_interrupted_pull(store)
    with BuildLock(store, purpose="change"):
        staging.publish_staged_uploads(store, QUIET)
    put(store, "new.md", "# New\n\nZebra.\n")
    delete(store, "pulled.md")
    before = (seen(store), current_entries(store))

    with BuildLock(store):
        staging.publish_staged_uploads(store, QUIET)
    assert not pulled_at_start(store)

    assert (seen(store), current_entries(store)) == before
    assert {"new.md", "waits.md", "late.md"} <= seen(store).keys()
    assert current_entries(store)["pulled.md"].is_deletion


def test_service_and_build_after_a_killed_pull_lose_no_change(store: Store, tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages")
    builder(store).build(pages)
    put(store, "old.md", "# Old\n\nOld.\n")
    live = store.live_collection()[0]
    staging.stage_uploads(
        store, live.name, [*upload_rows.read_upload_rows(store, live)], live.revision
    )
    accept_job(store, "put", [document("new.md", "# New\n\nZebra.\n")])
    accept_job(store, "delete", name="training.md")
    before = seen(store)

    with running(store):
        until(lambda: not Jobs(store).unfinished(), within=30)
    builder(store).build(pages)

    removed, added = before.keys() - seen(store).keys(), seen(store).keys() - before.keys()
    assert (removed, added) == ({"training.md"}, {"new.md"})


def test_start_after_a_pull_killed_at_its_end_keeps_pending_changes(store: Store) -> None:
    make_interrupted_pull(store)
    assert not pulled_at_start(store)
    assert_finished(store)


def test_pull_over_a_job_killed_while_tidying_leaves_a_clean_rollback_index(
    store: Store, tmp_path: Path, folder: Path
) -> None:
    """Otherwise the next writer would tidy by documents that no longer exist."""
    make_index(store, chunks_of("Before.", document="kilns.md"), "index-before")
    put(store, "kilns.md", "# Kilns\n\nOak.\n")
    with index_at(tmp_path / "source", "Pulled.") as source:
        pushed(source, folder)
    kill_once_visible(store, accept_job(store, "put", [document("kilns.md", "# Kilns\n\nAsh.\n")]))

    pulled(store, folder)

    collection = store.find("index-before")
    assert collection is not None
    texts = collection.get(include=["documents"])["documents"] or []
    assert [text.strip() for text in texts] == ["Ash."]
    assert seen(store) == {"kilns.md": ["Pulled."]}
