"""A few texts are embedded as a search needs it: in few requests, or in small batches."""

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from database.embedding.query_embeddings import EmbeddingCache, embed_few, embed_question
from tests.files.pages import WordEmbeddings


class LengthEmbeddings(Embeddings):
    """Embeds a text as its length, and records the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(texts)
        return [[float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


class ApiEmbeddings(LengthEmbeddings):
    """Like the embeddings of a provider's API."""

    def embed_words(self, words: list[str]) -> list[list[float]]:
        return self.embed_documents(words)


TEXTS = ["one" * n for n in (5, 1, 7, 2, 6, 3, 4)]


def test_local_model_embeds_four_texts_of_similar_length_at_a_time() -> None:
    embeddings = LengthEmbeddings()

    vectors = embed_few(embeddings, TEXTS)

    assert vectors == [[float(len(text))] for text in TEXTS]
    assert [[len(text) // 3 for text in batch] for batch in embeddings.batches] == [
        [1, 2, 3, 4],
        [5, 6, 7],
    ]


def test_api_embeds_all_texts_in_one_request() -> None:
    embeddings = ApiEmbeddings()
    assert embed_few(embeddings, TEXTS) == [[float(len(text))] for text in TEXTS]
    assert embeddings.batches == [TEXTS]


def test_short_question_is_embedded_as_it_is() -> None:
    embeddings = WordEmbeddings()
    for question in ("How hot\nis a kiln?", "", " \n "):
        assert embed_question(embeddings, question) == WordEmbeddings().embed_query(question)
    assert embeddings.queries == ["How hot\nis a kiln?", "", " \n "]


def test_long_question_is_the_mean_of_its_parts_of_whole_lines() -> None:
    lines = [f"line {number} of a trace, {'x' * 60}\n" for number in range(20)]
    embeddings = WordEmbeddings()

    vector = embed_question(embeddings, "".join(lines) + "KilnError: too hot")

    parts = embeddings.queries
    assert sum(map(len, parts)) == len("".join(lines) + "KilnError: too hot")
    assert all(len(part) <= 600 for part in parts)
    assert all(part.endswith(("\n", "too hot")) for part in parts)
    vectors = [WordEmbeddings().embed_query(part) for part in parts]
    weights = [len(part) for part in parts]
    assert vector == pytest.approx(np.average(vectors, axis=0, weights=weights))


def test_line_longer_than_a_part_is_cut() -> None:
    embeddings = WordEmbeddings()
    embed_question(embeddings, "kiln " * 300)
    assert sorted(map(len, embeddings.queries)) == [300, 600, 600]


def test_cached_texts_are_embedded_once() -> None:
    embeddings = WordEmbeddings()
    cache = EmbeddingCache(embeddings, 3)

    first = cache.embed(["ash", "oak", "ash"])
    second = cache.embed(["oak", "elm"])

    assert embeddings.queries == ["ash", "oak", "elm"]
    assert first.tolist() == pytest.approx(
        np.array([_vector("ash"), _vector("oak"), _vector("ash")])
    )
    assert second.tolist() == pytest.approx(np.array([_vector("oak"), _vector("elm")]))


def test_least_recently_used_texts_are_embedded_again() -> None:
    embeddings = WordEmbeddings()
    cache = EmbeddingCache(embeddings, 2)
    for text in ("ash", "oak", "ash", "elm", "ash", "oak"):
        cache.embed([text])
    assert embeddings.queries == ["ash", "oak", "elm", "oak"]


def _vector(text: str) -> list[float]:
    return WordEmbeddings().embed_query(text)
