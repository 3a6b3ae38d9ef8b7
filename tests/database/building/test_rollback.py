"""Rollback to the previous index, and the return to the folder's documents alone."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from database.building.rollback import return_to_folder, rollback
from database.index.lock import BuildLock
from database.index.rows import Row, add
from database.index.store import Store
from database.reading.reader import Reader
from tests.database.changing.steps import asked, delete, document, put, run, seen
from tests.database.dying_store import DyingStore, KilledError
from tests.files.pages import PAGES, WordEmbeddings, builder, chunk
from utils.errors import IndexLockedError, IndexMissingError

pytestmark = pytest.mark.process

WITH_TEXT = {name for name in PAGES if name != "index.md"}
KILNS = "# Kilns\n\nOak burns slowly.\n"


def reader(store: Store) -> Reader:
    return Reader(
        open_store=lambda: store, load=lambda made: WordEmbeddings(), place=store.database
    )


def test_deleted_document_stays_away_until_the_folder_rules_again(
    store: Store, pages: Path
) -> None:
    delete(store, "training.md")
    put(store, "kilns.md", KILNS)
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    assert "training.md" not in seen(store)

    return_to_folder(store)
    builder(store).build(pages)

    assert seen(store).keys() == WITH_TEXT | {"more.md"}


def test_change_after_the_folder_rules_again_counts_anew(store: Store, pages: Path) -> None:
    delete(store, "training.md")
    return_to_folder(store)
    builder(store).build(pages)

    put(store, "kilns.md", KILNS)
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}


def test_index_that_was_changed_is_not_taken_for_what_it_was_built_as(
    store: Store, pages: Path
) -> None:
    """The folder is as at first, so a new collection would get the live one's name."""
    first = store.live_collection()[0].name
    delete(store, "training.md")
    return_to_folder(store)

    builder(store).build(pages)

    assert store.live_collection()[0].name != first
    assert seen(store).keys() == WITH_TEXT


def test_rollback_returns_to_the_index_before_and_undoes_itself(store: Store, pages: Path) -> None:
    follows = reader(store)
    follows.refresh()
    before, revision = seen(store), store.live_collection()[0].revision
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    after = seen(store)

    live, changed = rollback(store)

    assert (live.revision, changed) == (revision + 2, 0)
    assert seen(store) == before
    follows.refresh()
    assert follows.documents() == before.keys()
    rollback(store)
    assert seen(store) == after


def test_rollback_says_how_many_documents_are_as_they_were(store: Store, pages: Path) -> None:
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    put(store, "kilns.md", KILNS)
    put(store, "endpoints.md", "# Endpoints\n\nAnother text.\n")

    _, changed = rollback(store)

    assert changed == 2
    assert seen(store).keys() == WITH_TEXT
    builder(store).build(pages)
    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}


def test_rollback_brings_no_deleted_document_back(store: Store, pages: Path) -> None:
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    delete(store, "training.md")

    rollback(store)

    assert seen(store).keys() == WITH_TEXT - {"training.md"}


def test_rollback_shows_nothing_that_was_never_visible(store: Store, pages: Path) -> None:
    live, collection, _ = store.live_collection()
    left = chunk("Half a change.", document="half.md")
    add(collection, [Row(replace(left, revision=live.revision + 1), [1.0] * 64)])
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)

    rollback(store)

    assert "half.md" not in seen(store)


def test_rollback_without_a_previous_index_says_so(store: Store) -> None:
    with pytest.raises(IndexMissingError, match="no previous index"):
        rollback(store)


def test_rollback_waits_for_no_build(store: Store, pages: Path) -> None:
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)

    with BuildLock(store), pytest.raises(IndexLockedError, match="Another build"):
        rollback(store)


def test_reader_follows_across_a_way_back_and_forth(store: Store, pages: Path) -> None:
    """What was changed meanwhile was changed in the other index."""
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    held = reader(store)
    held.refresh()

    rollback(store)
    put(store, "training.md", "# Training\n\nAnother text.\n")
    rollback(store)
    held.refresh()
    live = store.live()
    assert live is not None
    assert held.current().live == live
    put(store, "kilns.md", KILNS)
    held.refresh()

    assert "kilns.md" in held.documents()
    assert held.documents() == seen(store).keys()


def test_change_whose_writer_died_is_whole_when_the_folder_rules_again(
    store: Store, pages: Path
) -> None:
    """Its writer is killed just after it became visible, and had tidied nothing up."""
    job = asked(store, "put", [document("training.md", "# Training\n\nAnother text.\n")])
    kills = 0
    while (live := store.live()) and live.job != job.id:
        with contextlib.suppress(KilledError):
            run(DyingStore(store, writes=kills))
        kills += 1

    return_to_folder(store)
    run(store)
    put(store, "kilns.md", KILNS)

    assert seen(store)["training.md"] == ["Another text."]
    builder(store).build(pages)
    assert seen(store)["training.md"] != ["Another text."]
