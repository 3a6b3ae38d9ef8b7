"""The vectors of an index's words are written once, and read completely or not at all."""

import logging

import numpy as np
import pytest

from database.index import rows, word_vectors
from database.index.live_pointer import LivePointer
from database.index.rows import Row
from database.index.store import Store
from database.index.word_vectors import WordVectors
from database.reading.read_corpus import read_corpus
from tests.files.pages import WordEmbeddings, chunk

INDEX = "index-now"
WORDS = {"kiln": "kilns", "oak": "oak", "dri": "dry"}


@pytest.fixture
def store(empty_store: Store) -> Store:
    return empty_store


def write(store: Store, index: str, words: dict[str, str], *known: str) -> list[str]:
    """Write words; returns what was embedded for it."""
    embeddings = WordEmbeddings()
    embedded = word_vectors.write_word_vectors(
        store, index, words, embeddings.embed_documents, known
    )
    assert embedded == len(embeddings.documents)
    return embeddings.documents


def read(store: Store, index: str = INDEX) -> dict[str, WordVectors]:
    """The vectors of an index's words."""
    found = word_vectors.read_word_vectors(store, index)
    assert found is not None
    assert found[1].dtype == np.float32
    return dict(zip(*found, strict=True))


def assert_embedded(found: dict[str, WordVectors], words: dict[str, str]) -> None:
    vectors = WordEmbeddings().embed_documents([*words.values()])
    assert found.keys() == words.keys()
    for stem, vector in zip(words, vectors, strict=True):
        assert found[stem] == pytest.approx(vector, abs=1e-6)


def test_words_survive_a_round_trip(store: Store) -> None:
    assert write(store, INDEX, WORDS) == ["kilns", "oak", "dry"]
    assert_embedded(read(store), WORDS)
    assert word_vectors.has_word_vectors(store, INDEX)


def test_words_of_another_index_are_reused_and_only_new_ones_embedded(store: Store) -> None:
    write(store, "index-before", WORDS)

    embedded = write(store, INDEX, {"oak": "oaks", "ash": "ash"}, INDEX, "index-before", "index-no")

    assert embedded == ["ash"]
    old, new = read(store, "index-before"), read(store)
    assert new.keys() == {"oak", "ash"}
    assert np.array_equal(new["oak"], old["oak"])


def test_nothing_is_embedded_if_another_index_has_all_words(store: Store) -> None:
    write(store, "index-before", WORDS)
    assert write(store, INDEX, {"oak": "oaks", "dri": "dry"}, "index-before") == []
    assert word_vectors.has_word_vectors(store, INDEX)


def test_words_are_reused_only_from_the_given_indexes(store: Store) -> None:
    write(store, "index-other-model", WORDS)
    assert write(store, INDEX, WORDS) == ["kilns", "oak", "dry"]


def test_interrupted_write_resumes_without_the_obsolete_words(store: Store) -> None:
    words = {f"oak{number}": f"oaks{number}" for number in range(5 * rows.PAGE)}
    embedded: list[str] = []

    def killed(texts: list[str]) -> list[list[float]]:
        if len(embedded) == 2 * rows.PAGE:
            raise KeyboardInterrupt
        embedded.extend(texts)
        return WordEmbeddings().embed_documents(texts)

    with pytest.raises(KeyboardInterrupt):
        word_vectors.write_word_vectors(store, INDEX, {"gone": "gone"} | words, killed, [])
    assert word_vectors.read_word_vectors(store, INDEX) is None
    assert not word_vectors.has_word_vectors(store, INDEX)

    again = write(store, INDEX, words)

    assert sorted(embedded + again) == sorted(["gone", *words.values()])
    assert_embedded(read(store), words)


def test_incomplete_words_are_neither_read_nor_copied(store: Store) -> None:
    name = word_vectors.word_collection_name("index-before")
    half = store.create(name, {"whole": False})
    half.add(ids=["oak"], embeddings=[1.0] * 64, documents=["oak"])

    assert word_vectors.read_word_vectors(store, "index-before") is None
    assert write(store, INDEX, {"oak": "oak"}, "index-before") == ["oak"]


def test_missing_words_differ_from_an_empty_list(store: Store) -> None:
    assert word_vectors.read_word_vectors(store, INDEX) is None
    assert write(store, INDEX, {}) == []
    assert read(store) == {}


def test_words_of_deleted_indexes_are_deleted(store: Store) -> None:
    for index in (INDEX, "index-gone"):
        store.create(index, {"model": "words"}, 2)
        write(store, index, WORDS)
    store.delete("index-gone")

    word_vectors.delete_orphans(store)

    assert word_vectors.read_word_vectors(store, "index-gone") is None
    assert word_vectors.has_word_vectors(store, INDEX)
    assert store.index_names() == [INDEX]


def test_index_without_words_is_served_with_a_warning(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    collection = store.create(INDEX, {"model": "words"}, 2)
    chunks = [chunk("Oak dries.", ordinal=1), chunk("Ash burns.")]
    rows.add(collection, [*map(Row, chunks, WordEmbeddings().embed_documents(["Oak", "Ash"]))])

    with caplog.at_level(logging.WARNING):
        old = read_corpus(store, LivePointer(INDEX, "", 1, 1), collection, WordEmbeddings(), "")
    write(store, INDEX, WORDS)
    new = read_corpus(store, LivePointer(INDEX, "", 1, 1), collection, WordEmbeddings(), "")

    assert old.related is None
    assert old.chunks == chunks[::-1]
    assert old.places == {"kilns.md:0": 0, "kilns.md:1": 1}
    assert new.related is not None
    assert len(new.related) == 3
    (warning,) = caplog.messages
    assert "make index" in warning
