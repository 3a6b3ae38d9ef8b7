"""A build is a sync: the resulting index depends on the folder alone."""

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from database.index import word_vectors
from database.index.lock import LOCK, BuildLock
from database.index.store import Store, open_store
from tests.database.index.reading import contents
from tests.database.made_indexes import damage, words_of
from tests.files.pages import PAGES, WordEmbeddings, builder, recipe, write_pages
from tests.servers.chroma import ChromaServer
from utils.errors import (
    DatasetError,
    IndexDamagedError,
    IndexLockedError,
    IndexMissingError,
    StoreUnreachableError,
)

pytestmark = pytest.mark.process

KILNS = {f"kiln-{n}.md": f"# Kilns\n\nKilns of kind {n}.\n" for n in range(5)}
"""Pages with two words frequent enough to have vectors."""


@pytest.fixture
def store(target: Store) -> Store:
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pages(tmp_path / "pages")


def test_every_chunk_is_stored_with_all_its_fields(either_store: Store, folder: Path) -> None:
    report = builder(either_store).build(folder)

    stored = contents(either_store)
    texts = " ".join(text for text, _ in stored.rows.values())
    assert report.chunks == len(stored.rows) == 5
    assert report.changes.new.documents == 3
    assert report.changes.without_text == 1  # it only lists links
    assert "`KmsKeyId` in the endpoint configuration." in texts
    assert {fields["document"] for _, fields in stored.rows.values()} == PAGES.keys() - {"index.md"}
    # The collection is cosine and does not rewrite its files once live.
    hnsw: Any = either_store.live_collection()[1].configuration["hnsw"]
    assert hnsw["space"] == "cosine"
    assert hnsw["sync_threshold"] > len(stored.rows)


def test_second_build_embeds_nothing_and_changes_nothing(either_store: Store, folder: Path) -> None:
    builder(either_store).build(folder)
    before, live = contents(either_store), either_store.live()
    embeddings = WordEmbeddings()

    report = builder(either_store, embeddings).build(folder)

    assert embeddings.documents == []
    assert report.embedded == 0
    assert report.changes.unchanged.documents == 3
    assert contents(either_store).rows == before.rows
    assert either_store.live() == live


def test_only_changed_chunks_are_embedded(either_store: Store, folder: Path) -> None:
    builder(either_store).build(folder)
    (folder / "training.md").write_text("# Train a model\n\nTraining is different now.\n")
    (folder / "notebooks.md").unlink()
    (folder / "new.md").write_text("# New page\n\nSomething new.\n")
    embeddings = WordEmbeddings()

    report = builder(either_store, embeddings).build(folder)

    assert len(embeddings.documents) == 2
    changes = report.changes
    for tally in (changes.new, changes.replaced, changes.deleted, changes.unchanged):
        assert tally.documents == 1
    documents = {fields["document"] for _, fields in contents(either_store).rows.values()}
    assert documents == {"endpoints.md", "training.md", "new.md"}


def test_sync_of_a_changed_folder_equals_a_build_from_scratch(
    store: Store, folder: Path, tmp_path: Path
) -> None:
    builder(store).build(folder)
    (folder / "training.md").write_text("# Train a model\n\nTraining is different now.\n")
    builder(store).build(folder)

    with closing(open_store(str(tmp_path / "fresh"), create=True)) as fresh:
        builder(fresh).build(folder)
        expected = contents(fresh)

    assert contents(store).rows == expected.rows
    assert contents(store).lowest_cosine(expected) > 0.9999


def test_changed_recipe_embeds_everything_again(store: Store, folder: Path) -> None:
    first, second = WordEmbeddings(), WordEmbeddings()
    builder(store, first).build(folder)

    builder(store, second, model_revision="words-2").build(folder)

    assert second.documents == first.documents
    assert len(first.documents) == 5
    _, _, fingerprint = store.live_collection()
    assert fingerprint.recipe == recipe(model_revision="words-2")


def test_previous_index_is_kept_and_older_ones_are_deleted(
    either_store: Store, folder: Path
) -> None:
    names = []
    for word in ("one", "two", "three"):
        (folder / "notebooks.md").write_text(f"# Notebooks\n\nNow {word}.\n")
        builder(either_store).build(folder)
        live, _, _ = either_store.live_collection()
        names.append(live.name)

    assert either_store.index_names() == sorted(names[1:])
    assert live.previous == names[1]


def test_build_of_the_previous_state_embeds_nothing(store: Store, folder: Path) -> None:
    first = (folder / "notebooks.md").read_text()
    builder(store).build(folder)
    (folder / "notebooks.md").write_text("# Notebooks\n\nNow otherwise.\n")
    builder(store).build(folder)
    (folder / "notebooks.md").write_text(first)
    embeddings = WordEmbeddings()

    builder(store, embeddings).build(folder)

    assert embeddings.documents == []
    assert len(contents(store).rows) == 5


def test_second_builder_fails_and_names_the_first(either_store: Store, folder: Path) -> None:
    with (
        BuildLock(either_store),
        pytest.raises(IndexLockedError, match=r"Another build .* process \d+"),
    ):
        builder(either_store).build(folder)

    builder(either_store).build(folder)


def test_lock_of_a_dead_process_is_taken_over(store: Store, folder: Path) -> None:
    with BuildLock(store):
        lock = store.get_or_create(LOCK)
        # The lock of a killed build: this host, and a pid that another process has now.
        lock.modify(metadata=dict(lock.metadata or {}) | {"born": "another boot/1"})
        assert builder(store).build(folder).chunks == 5


def test_build_whose_lock_was_taken_over_does_not_go_live(store: Store, folder: Path) -> None:
    def take_over(texts: list[str]) -> None:
        store.delete(LOCK)
        store.create(LOCK, {"owner": "another", "host": "elsewhere", "pid": 1})

    with pytest.raises(IndexLockedError):
        builder(store, WordEmbeddings(before=take_over)).build(folder)

    assert store.live() is None


def test_failed_build_leaves_the_live_index_unchanged(store: Store, folder: Path) -> None:
    def fail(texts: list[str]) -> None:
        raise MemoryError

    builder(store).build(folder)
    before = contents(store)
    (folder / "new.md").write_text("# New page\n\nSomething new.\n")

    with pytest.raises(MemoryError):
        builder(store, WordEmbeddings(before=fail)).build(folder)

    assert contents(store).rows == before.rows


def test_build_writes_words_and_embeds_them_once(either_store: Store, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "kilns", KILNS)
    first, second = WordEmbeddings(), WordEmbeddings()

    builder(either_store, first).build(folder)
    (folder / "kiln-5.md").write_text("# Kilns\n\nNo kilns of any kind.\n")
    builder(either_store, second).build(folder)

    assert words_of(either_store).keys() == {"kiln", "kind"}
    assert first.documents[5:] == ["kilns", "kind"]
    assert len(second.documents) == 1


def test_only_words_are_added_to_an_index_of_an_older_version(store: Store, tmp_path: Path) -> None:
    folder = write_pages(tmp_path / "kilns", KILNS)
    first, second = WordEmbeddings(), WordEmbeddings()
    builder(store, first).build(folder)
    live, _, _ = store.live_collection()
    store.delete(word_vectors.word_collection_name(live.name))

    builder(store, second).build(folder)

    assert words_of(store).keys() == {"kiln", "kind"}
    assert second.documents == ["kilns", "kind"]
    assert store.live() == live


def test_build_interrupted_before_its_words_does_not_go_live_and_resumes(
    store: Store, tmp_path: Path
) -> None:
    def interrupt(texts: list[str]) -> None:
        if "kind" in texts:
            raise KeyboardInterrupt

    folder, embeddings = write_pages(tmp_path / "kilns", KILNS), WordEmbeddings()
    with pytest.raises(KeyboardInterrupt):
        builder(store, WordEmbeddings(before=interrupt)).build(folder)
    assert store.live() is None

    builder(store, embeddings).build(folder)

    assert embeddings.documents == ["kilns", "kind"]
    assert words_of(store).keys() == {"kiln", "kind"}


def test_words_are_deleted_with_their_index(store: Store, folder: Path) -> None:
    for word in ("one", "two", "three"):
        (folder / "notebooks.md").write_text(f"# Notebooks\n\nNow {word}.\n")
        builder(store).build(folder)

    kept = {word_vectors.word_collection_name(name) for name in store.index_names()}
    assert set(store.collection_names(word_vectors.word_collection_name(""))) == kept


@pytest.mark.parametrize("pages", [{}, {"index.md": PAGES["index.md"]}])
def test_folder_without_text_changes_nothing(
    store: Store, folder: Path, tmp_path: Path, pages: dict[str, str]
) -> None:
    builder(store).build(folder)
    before = contents(store)

    with pytest.raises(DatasetError):
        builder(store).build(write_pages(tmp_path / "other", pages))

    assert contents(store).rows == before.rows


def test_invalid_file_is_reported_and_the_rest_is_built(store: Store, folder: Path) -> None:
    (folder / "latin.md").write_bytes(b"# Caf\xe9\n\nNot UTF-8.\n")
    messages: list[str] = []

    report = replace(builder(store), skipped=messages.append).build(folder)

    assert report.changes.new.documents == 3
    assert report.changes.without_text == 1  # index.md
    assert len(messages) == 1
    assert "latin.md" in messages[0]


def test_index_damaged_on_disk_is_detected_and_rebuilt(folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "index"
    with closing(open_store(str(database), create=True)) as first:
        builder(first).build(folder)
    damage(database)

    with closing(open_store(str(database))) as again:
        assert builder(again).build(folder).embedded == 5
        assert len(contents(again).rows) == 5


@pytest.mark.parametrize(
    "content", [b"", b"this is no database", b"SQLite format 3\x00" + b"x" * 99]
)
def test_folder_of_something_else_is_reported_in_one_line(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    database = tmp_path / "index"
    database.mkdir()
    (database / "chroma.sqlite3").write_bytes(content)

    with pytest.raises((IndexDamagedError, IndexMissingError), match="index") as caught:
        open_store(str(database)).live_collection()

    assert "\n" not in str(caught.value)


def test_reading_does_not_create_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="Build it: make index DATABASE="):
        open_store(str(tmp_path / "index"))

    assert not (tmp_path / "index").exists()


def test_unreachable_server_is_reported_in_one_line(chroma_server: ChromaServer) -> None:
    chroma_server.kill()

    with pytest.raises(StoreUnreachableError, match="No Chroma server answers"):
        open_store(chroma_server.url)


def test_silent_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(StoreUnreachableError, match="No Chroma server answers"):
            open_store(url, timeout=0.3)


def test_build_survives_a_short_outage_of_the_server(
    chroma_server: ChromaServer, folder: Path
) -> None:
    def restart(texts: list[str]) -> None:
        chroma_server.kill()
        chroma_server.start()

    with closing(open_store(chroma_server.url)) as store:
        assert builder(store, WordEmbeddings(before=restart)).build(folder).chunks == 5
        assert len(contents(store).rows) == 5
