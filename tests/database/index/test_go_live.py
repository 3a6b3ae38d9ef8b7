"""Builds and purges of an index that is also changed through the API."""

from dataclasses import replace
from pathlib import Path

import pytest

from database.building import reuse
from database.building.rollback import rollback
from database.index.checks.collection_check import CollectionCheck
from database.index.lock import BuildLock
from database.index.store import Store
from database.index.vector_files import segment_folders
from database.journal.uploads import Uploads
from dataset.listing import Selection
from tests.database.changing.steps import (
    KILNS,
    WITH_TEXT,
    accept_job,
    build_more,
    delete,
    put,
    run,
    seen,
)
from tests.database.made_indexes import document
from tests.files.pages import WordEmbeddings, builder
from utils.errors import IndexDamagedError, IndexMissingError

pytestmark = pytest.mark.process


def test_build_keeps_documents_added_through_the_api(store: Store, pages: Path) -> None:
    put(store, "kilns.md", KILNS)
    report = build_more(store, pages)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}
    assert (report.from_api, report.embedded) == (1, 1)


def test_build_without_changes_leaves_the_pointer_unchanged(store: Store, pages: Path) -> None:
    put(store, "kilns.md", KILNS)
    delete(store, "training.md")
    before = store.live()

    report = builder(store).build(pages)

    assert store.live() == before
    assert report.embedded == 0
    assert report.left_out == ("training.md",)


def test_api_version_takes_precedence_over_the_folders(store: Store, pages: Path) -> None:
    put(store, "training.md", "# Training\n\nThe API says so.\n")
    (pages / "training.md").write_text("# Training\n\nThe folder says so.\n")

    build_more(store, pages)

    assert seen(store)["training.md"] == ["The API says so."]


def test_change_of_chunk_size_splits_uploaded_texts_anew(store: Store, pages: Path) -> None:
    long = "# Kilns\n\n" + " ".join(f"Sentence number {n} is here." for n in range(30))
    put(store, "kilns.md", long)
    pieces = len(seen(store)["kilns.md"])

    builder(store, chunk_size=30).build(pages)

    assert len(seen(store)["kilns.md"]) > pieces
    assert "Sentence number 29" in " ".join(seen(store)["kilns.md"])


def test_only_what_is_selected_is_built(store: Store, pages: Path) -> None:
    builder(store).build(pages, Selection(include=("*.md",), exclude=("train*",)))
    assert seen(store).keys() == WITH_TEXT - {"training.md"}


def test_purge_leaves_one_collection_and_no_rollback(store: Store, pages: Path) -> None:
    build_more(store, pages)
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


def test_purge_does_not_rewrite_an_incomplete_index(store: Store) -> None:
    _, collection, _ = store.live_collection()
    lost = collection.get(limit=1)["ids"]
    collection.delete(ids=lost)
    before = store.index_names()

    with (
        BuildLock(store) as lock,
        pytest.raises(IndexDamagedError, match="lacks some of its"),
    ):
        builder(store).rewrite(lock)

    assert store.index_names() == before


def test_failing_check_deletes_no_index_in_use(
    store: Store, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if killed by the operating system's OOM killer."""
    build_more(store, pages)
    (pages / "more.md").write_text("# More\n\nOther words.\n")
    live, _, _ = store.live_collection()
    existing: list[str] = []

    def fails(store: Store, name: str) -> CollectionCheck:
        raise IndexDamagedError("opening it ended with status -9")

    def load() -> WordEmbeddings:
        existing.extend(store.index_names())
        return WordEmbeddings()

    with monkeypatch.context() as patch:
        patch.setattr(reuse, "check_collection", fails)
        patch.setattr(reuse, "is_readable", lambda store, name: False)
        replace(builder(store), load_embeddings=load).build(pages)

    assert {live.name, live.previous} <= set(existing)
    assert seen(store).keys() == WITH_TEXT | {"more.md"}


def test_builds_remove_folders_of_deleted_indexes(store: Store, pages: Path) -> None:
    for word in ("one", "two", "three", "four"):
        (pages / "more.md").write_text(f"# More\n\nMore words, {word}.\n")
        builder(store).build(pages)

    assert len(segment_folders(store.database)) <= len(store.collection_names(""))


def test_pending_upload_is_added_to_an_index_that_went_live_in_between(
    store: Store, pages: Path
) -> None:
    accept_job(store, "put", [document("kilns.md", KILNS)])
    build_more(store, pages)
    assert "kilns.md" not in seen(store)

    run(store)

    assert seen(store).keys() == WITH_TEXT | {"kilns.md", "more.md"}
    assert [entry.revision > 0 for entry in Uploads(store).of_document("kilns.md")] == [True]
