"""A damaged index is not served: neither when it is opened nor when it is damaged later."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from database.building.rollback import rollback
from database.index import word_vectors
from database.index.store import Store, open_store
from database.reading import reader as reading
from database.reading.reader import Reader
from database.snapshot.push import push
from database.snapshot.storage import Storage
from tests.attacks.store_damage import KINDS, ROW_KINDS
from tests.database.changing.steps import KILNS, build_more, delete, put, reader_over, seen
from tests.files.pages import PAGES, WordEmbeddings, builder, many_pages
from utils.errors import IndexDamagedError

pytestmark = pytest.mark.process

BUILT_PAGES = PAGES | many_pages(20)
QUESTION = "Set KmsKeyId in the endpoint configuration"


def change_text(store: Store, document: str = "endpoints.md") -> None:
    """Change the text of a stored row, as no writer does."""
    _, collection, _ = store.live_collection()
    where: Any = {"document": document}
    found: Any = collection.get(where=where, limit=1, include=["embeddings"])
    collection.update(ids=found["ids"], documents=["Other words."], embeddings=found["embeddings"])


def forget_digests(store: Store) -> None:
    """Make the index one of an older version."""
    _, collection, fingerprint = store.live_collection()
    collection.modify(metadata=replace(fingerprint, digests="").to_metadata())


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A copy of the index that no store has opened."""
    return Path(shutil.copytree(built / "index", tmp_path / "copy"))


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    opened = Reader(lambda: open_store(str(folder)), lambda _: WordEmbeddings(), str(folder))
    yield opened
    opened.close()


def test_changed_text_is_refused_with_the_remedy(store: Store) -> None:
    change_text(store)
    with pytest.raises(IndexDamagedError, match=f"make index DATABASE={store.database}"):
        reader_over(store).search(QUESTION, 1)


@pytest.mark.parametrize("kind", ["document NULL", "metadata missing"])
def test_row_that_is_no_chunk_is_damage_in_an_older_index_too(
    folder: Path, reader: Reader, kind: str
) -> None:
    with closing(open_store(str(folder))) as store:
        forget_digests(store)
    ROW_KINDS[kind](folder, Random(1))
    with pytest.raises(IndexDamagedError, match="Build it again"):
        reader.search(QUESTION, 1)


def test_damaged_index_is_read_again_only_after_a_while(
    store: Store, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_text(store)
    reader = reader_over(store)
    reads = []

    def read(*given: Any) -> Any:
        reads.append(given)
        raise IndexDamagedError("It is damaged.")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "read_corpus", read)
        patch.setattr(store, "close", lambda: None)
        for _ in range(5):
            with pytest.raises(IndexDamagedError):
                reader.refresh()
        assert len(reads) == 2  # it is tried twice at first
        patch.setattr(reading, "_RETRY_SECONDS", 0.0)
        reader._retry_at = 0.0  # noqa: SLF001  # as if the time had passed
        with pytest.raises(IndexDamagedError):
            reader.refresh()
        assert len(reads) == 4

    builder(store).build(pages)
    reader.refresh()
    assert reader.search(QUESTION, 1).passages


@pytest.mark.parametrize("kind", ["cut data_level0.bin", "words changed"])
def test_damage_while_serving_is_found_by_the_scrub(
    folder: Path, reader: Reader, built: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = reader.search(QUESTION, 5)
    reader.scrub()
    assert reader.problem is None

    KINDS[kind](folder, Random(2))
    for _ in range(2):
        reader.scrub()
        reader.refresh()

    assert "make index" in str(reader.problem)
    assert [r.levelno for r in caplog.records if "damaged" in r.message] == [logging.ERROR]
    assert reader.search(QUESTION, 5) == before  # of verified vectors in memory
    if kind in ROW_KINDS:  # this process, unlike a builder, has the vectors in memory
        with closing(open_store(str(folder))) as store:
            builder(store).build(built / "pages")
        reader.refresh()
        assert reader.problem is None
        assert reader.search(QUESTION, 5).passages == before.passages


def test_changes_keep_the_digests_right(store: Store, pages: Path) -> None:
    build_more(store, pages)
    put(store, "kilns.md", KILNS)
    put(store, "kilns.md", "# Kilns\n\nAsh burns.\n")
    put(store, "endpoints.md", "# Endpoints\n\nAnother text.\n")
    delete(store, "training.md")

    assert reader_over(store).documents() == seen(store).keys()
    rollback(store)  # to an index that the deletion has changed too
    assert reader_over(store).documents() == seen(store).keys()
    put(store, "kilns.md", KILNS)
    assert reader_over(store).documents() == seen(store).keys()


def test_damage_is_found_after_a_change_of_another_document(store: Store) -> None:
    change_text(store)
    put(store, "kilns.md", KILNS)
    delete(store, "page-0003.md")
    with pytest.raises(IndexDamagedError):
        reader_over(store).refresh()


def test_document_changed_while_an_index_is_read_is_no_damage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_collection = store.live_collection

    def then_changed() -> Any:
        found = live_collection()
        monkeypatch.undo()
        put(store, "endpoints.md", "# Endpoints\n\nAnother text.\n")
        return found

    monkeypatch.setattr(store, "live_collection", then_changed)
    reader = reader_over(store)
    assert reader.search("Another text", 1).passages[0].text == "Another text."
    assert reader.problem is None


def test_build_embeds_only_the_damaged_part_again(store: Store, pages: Path) -> None:
    expected = reader_over(store).search(QUESTION, 5)
    change_text(store)

    report = builder(store).build(pages)

    assert 0 < report.embedded < report.chunks / 4
    assert reader_over(store).search(QUESTION, 5) == expected
    assert builder(store).build(pages).embedded == 0


def test_build_repairs_words_whose_vectors_are_damaged(store: Store, pages: Path) -> None:
    live, _, _ = store.live_collection()
    words = store.find(f"words-of-{live.name}")
    assert words
    words.update(ids=words.get(limit=1)["ids"], embeddings=[[0.5] * 64])  # type: ignore[arg-type]
    with pytest.raises(IndexDamagedError, match="words"):
        word_vectors.read_word_vectors(store, live.name)

    builder(store).build(pages)

    assert reader_over(store).search(QUESTION, 1).passages


def test_index_of_an_older_version_is_served_and_gets_its_digests_by_a_build(
    store: Store, pages: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, "kilns.md", KILNS)
    forget_digests(store)
    live = store.live()
    assert live
    assert live.changed
    store.advance(live, "job", replace(live.changed, digests=""))
    assert reader_over(store).search(QUESTION, 1).passages
    assert "without digests" in caplog.text

    assert builder(store).build(pages).embedded == 0

    put(store, "kilns.md", "# Kilns\n\nAsh burns.\n")
    caplog.clear()
    assert reader_over(store).search("Ash burns", 1).passages[0].text == "Ash burns."
    assert "without digests" not in caplog.text
    change_text(store)
    with pytest.raises(IndexDamagedError):
        reader_over(store).refresh()


def test_damaged_graph_of_a_large_index_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("database.reading.read_corpus.MAX_EXACT_CHUNKS", 0)
    assert reader_over(store).search(QUESTION, 1).passages
    monkeypatch.setattr("database.index.checks.collection_check.measure_recall", lambda *given: 0.9)
    with pytest.raises(IndexDamagedError, match=r"graph finds 0\.90 of"):
        reader_over(store).refresh()


def test_damaged_index_is_not_pushed(store: Store, tmp_path: Path) -> None:
    change_text(store)
    with pytest.raises(IndexDamagedError, match="is damaged"):
        push(store, Storage(str(tmp_path / "snapshots")))
