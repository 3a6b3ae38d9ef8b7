"""Rollback to the previous index, and the return to the folder's documents alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from database.building.rollback import rollback
from database.index.lock import BuildLock
from database.index.rows import Row, add
from database.index.store import Store
from tests.database.changing.steps import (
    KILNS,
    WITH_TEXT,
    accept_job,
    build_more,
    delete,
    kill_once_visible,
    put,
    reader_over,
    run,
    seen,
)
from tests.database.made_indexes import document
from tests.files.pages import builder, chunk
from utils.errors import IndexLockedError, IndexMissingError

pytestmark = pytest.mark.process


def test_deleted_document_stays_deleted_until_the_return_to_the_folder(
    store: Store, pages: Path
) -> None:
    delete(store, "training.md")
    put(store, "kilns.md", KILNS)
    build_more(store, pages)
    assert "training.md" not in seen(store)

    builder(store).build(pages, folder_only=True)

    assert seen(store).keys() == WITH_TEXT | {"more.md"}


def test_change_after_the_return_to_the_folder_is_kept_by_builds(store: Store, pages: Path) -> None:
    delete(store, "training.md")
    builder(store).build(pages, folder_only=True)

    put(store, "kilns.md", KILNS)
    build_more(store, pages)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}


def test_index_changed_in_place_is_not_reused_under_its_name(store: Store, pages: Path) -> None:
    """The folder is unchanged, so a new collection would get the live one's name."""
    first = store.live_collection()[0].name
    delete(store, "training.md")

    builder(store).build(pages, folder_only=True)

    assert store.live_collection()[0].name != first
    assert seen(store).keys() == WITH_TEXT


def test_rollback_restores_the_previous_index_and_a_second_one_undoes_it(
    store: Store, pages: Path
) -> None:
    follows = reader_over(store)
    follows.refresh()
    before, revision = seen(store), store.live_collection()[0].revision
    build_more(store, pages)
    after = seen(store)

    live, changed = rollback(store)

    assert (live.revision, changed) == (revision + 2, 0)
    assert seen(store) == before
    follows.refresh()
    assert follows.documents() == before.keys()
    rollback(store)
    assert seen(store) == after


def test_rollback_reports_the_number_of_undone_api_changes(store: Store, pages: Path) -> None:
    build_more(store, pages)
    put(store, "kilns.md", KILNS)
    put(store, "endpoints.md", "# Endpoints\n\nAnother text.\n")

    _, changed = rollback(store)

    assert changed == 2
    assert seen(store).keys() == WITH_TEXT
    builder(store).build(pages)
    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}


def test_rollback_restores_no_deleted_document(store: Store, pages: Path) -> None:
    build_more(store, pages)
    delete(store, "training.md")

    rollback(store)

    assert seen(store).keys() == WITH_TEXT - {"training.md"}


def test_rollback_shows_no_rows_that_were_never_visible(store: Store, pages: Path) -> None:
    live, collection, _ = store.live_collection()
    left = chunk("Half a change.", document="half.md")
    add(collection, [Row(replace(left, revision=live.revision + 1), [1.0] * 64)])
    build_more(store, pages)

    rollback(store)

    assert "half.md" not in seen(store)


def test_rollback_without_a_previous_index_is_refused(store: Store) -> None:
    with pytest.raises(IndexMissingError, match="no previous index"):
        rollback(store)


def test_rollback_during_a_build_is_refused(store: Store, pages: Path) -> None:
    build_more(store, pages)

    with BuildLock(store), pytest.raises(IndexLockedError, match="Another build"):
        rollback(store)


def test_reader_follows_two_rollbacks(store: Store, pages: Path) -> None:
    """Changes made in between are in the other index."""
    build_more(store, pages)
    opened = reader_over(store)
    opened.refresh()

    rollback(store)
    put(store, "training.md", "# Training\n\nAnother text.\n")
    rollback(store)
    opened.refresh()
    assert opened.current().live == store.live()
    put(store, "kilns.md", KILNS)
    opened.refresh()

    assert "kilns.md" in opened.documents()
    assert opened.documents() == seen(store).keys()


def test_return_to_the_folder_completes_the_change_of_a_killed_writer(
    store: Store, pages: Path
) -> None:
    job = accept_job(store, "put", [document("training.md", "# Training\n\nAnother text.\n")])
    kill_once_visible(store, job)

    builder(store).build(pages, folder_only=True)
    run(store)
    put(store, "kilns.md", KILNS)
    builder(store).build(pages)

    assert "kilns.md" in seen(store)
    assert seen(store)["training.md"] != ["Another text."]
