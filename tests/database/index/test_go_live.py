"""Builds, the way back, and what came through the API: who wins when both change an index."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from database.building import reuse as holdings
from database.building.rollback import return_to_folder, rollback
from database.index.check import CollectionCheck
from database.index.lock import BuildLock
from database.index.rows import Row, add
from database.index.store import Store, open_store
from database.index.vector_files import segment_folders
from database.journal.uploads import Uploads
from database.reading.reader import Reader
from dataset.folder import Selection
from tests.database.changing.steps import asked, delete, document, put, run, seen
from tests.database.dying_store import DyingStore, KilledError
from tests.files.pages import PAGES, WordEmbeddings, builder, chunk, write_pages
from utils.errors import IndexDamagedError, IndexLockedError, IndexMissingError

pytestmark = pytest.mark.process

WITH_TEXT = {name for name in PAGES if name != "index.md"}
KILNS = "# Kilns\n\nOak burns slowly.\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def reader(store: Store) -> Reader:
    return Reader(
        open_store=lambda: store, load=lambda made: WordEmbeddings(), place=store.database
    )


def test_build_keeps_what_was_put_through_the_api(store: Store, pages: Path) -> None:
    put(store, "kilns.md", KILNS)
    (pages / "more.md").write_text("# More\n\nMore words.\n")

    report = builder(store).build(pages)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}
    assert (report.from_api, report.embedded) == (1, 1)


def test_build_that_brings_nothing_new_moves_nothing(store: Store, pages: Path) -> None:
    put(store, "kilns.md", KILNS)
    delete(store, "training.md")
    before = store.live()

    report = builder(store).build(pages)

    assert store.live() == before
    assert report.embedded == 0
    assert report.left_out == ("training.md",)


def test_version_of_the_api_goes_before_the_folders(store: Store, pages: Path) -> None:
    put(store, "training.md", "# Training\n\nThe API says so.\n")
    (pages / "training.md").write_text("# Training\n\nThe folder says so.\n")
    (pages / "more.md").write_text("# More\n\nMore words.\n")

    builder(store).build(pages)

    assert seen(store)["training.md"] == ["The API says so."]


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


def test_change_of_chunk_size_splits_uploaded_texts_anew(store: Store, pages: Path) -> None:
    long = "# Kilns\n\n" + " ".join(f"Sentence number {n} is here." for n in range(30))
    put(store, "kilns.md", long)
    pieces = len(seen(store)["kilns.md"])

    builder(store, chunk_size=30).build(pages)

    assert len(seen(store)["kilns.md"]) > pieces
    assert "Sentence number 29" in " ".join(seen(store)["kilns.md"])


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


def test_only_what_is_selected_is_built(store: Store, pages: Path) -> None:
    builder(store).build(pages, Selection(include=("*.md",), exclude=("train*",)))
    assert seen(store).keys() == WITH_TEXT - {"training.md"}


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


def test_purge_leaves_one_collection_and_no_way_back(store: Store, pages: Path) -> None:
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    put(store, "kilns.md", KILNS)
    delete(store, "training.md")
    before = seen(store)
    embeddings = WordEmbeddings()

    with BuildLock(store) as lock:
        builder(store, embeddings).rewrite(lock)

    assert seen(store) == before
    assert store.index_names() == [store.live_collection()[0].name]
    assert [text for text in embeddings.documents if "Oak" in text] == []
    _, collection, fingerprint = store.live_collection()
    assert collection.count() == fingerprint.chunks
    with pytest.raises(IndexMissingError):
        rollback(store)


def test_purge_moves_nothing_of_an_index_that_is_not_whole(store: Store) -> None:
    _, collection, _ = store.live_collection()
    lost = collection.get(limit=1)["ids"]
    collection.delete(ids=lost)
    before = store.index_names()

    with BuildLock(store) as lock, pytest.raises(IndexDamagedError, match="lacks chunks"):
        builder(store).rewrite(lock)

    assert store.index_names() == before


def test_check_that_fails_for_its_own_reasons_deletes_no_index_in_use(
    store: Store, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the operating system ends it for want of memory."""
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    (pages / "more.md").write_text("# More\n\nOther words.\n")
    live = store.live()
    assert live is not None
    there: list[str] = []

    def fails(store: Store, name: str) -> CollectionCheck:
        raise IndexDamagedError("opening it ended with status -9")

    def load() -> WordEmbeddings:
        there.extend(store.index_names())
        return WordEmbeddings()

    with monkeypatch.context() as patch:
        patch.setattr(holdings, "check_collection", fails)
        replace(builder(store), load_embeddings=load).build(pages)

    assert {live.name, live.previous} <= set(there)
    assert seen(store).keys() == WITH_TEXT | {"more.md"}


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


def test_folders_of_deleted_indexes_go_with_the_builds_after(store: Store, pages: Path) -> None:
    for word in ("one", "two", "three", "four"):
        (pages / "more.md").write_text(f"# More\n\nMore words, {word}.\n")
        builder(store).build(pages)

    assert len(segment_folders(store.database)) <= len(store.collection_names(""))


def test_upload_that_waits_is_put_into_the_index_that_went_live_meanwhile(
    store: Store, pages: Path
) -> None:
    asked(store, "put", [document("kilns.md", KILNS)])
    (pages / "more.md").write_text("# More\n\nMore words.\n")
    builder(store).build(pages)
    assert "kilns.md" not in seen(store)

    run(store)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}
    assert [entry.revision > 0 for entry in Uploads(store).of_document("kilns.md")] == [True]
