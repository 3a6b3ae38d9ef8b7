"""Dense search finds the nearest of the filtered chunks, whatever else the collection contains."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from chromadb import Collection

from database.index.store import open_store
from database.searching.dense import nearest_chunks
from tests.servers.chroma import ChromaServer

ROWS, DIMENSION = 600, 8


@dataclass(frozen=True)
class Rows:
    """A collection of random vectors, some of them close to the first question."""

    collection: Collection
    vectors: npt.NDArray[np.float64]
    ids: list[str]
    questions: list[list[float]]

    def some(self, count: int) -> dict[str, int]:
        """The rows farthest from the first question."""
        farthest = np.argsort(self.cosines(0))[:count]
        return {self.ids[place]: int(place) for place in farthest}

    def cosines(self, question: int) -> npt.NDArray[np.float64]:
        asked = np.array(self.questions[question])
        cosines: npt.NDArray[np.float64] = (self.vectors @ asked) / (
            np.linalg.norm(self.vectors, axis=1) * np.linalg.norm(asked)
        )
        return cosines

    def best(self, question: int, places: list[int], count: int) -> dict[int, float]:
        cosines = self.cosines(question)
        order = sorted(places, key=lambda place: -cosines[place])[:count]
        return {place: float(cosines[place]) for place in order}

    def add_unknown(self, count: int) -> None:
        """Add rows of an unfinished change, nearer to the questions than all others."""
        noise = np.random.default_rng(7).standard_normal((count, DIMENSION)) / 10
        near = np.resize(self.questions, (count, DIMENSION)) + noise
        self.collection.add(ids=[f"new-{n}" for n in range(count)], embeddings=near.tolist())


@contextmanager
def make_rows(database: str) -> Iterator[Rows]:
    store = open_store(database, create=True)
    collection = store.create("index-numbers", {"model": "numbers"}, ROWS)
    collection.modify(configuration={"hnsw": {"ef_search": 2 * ROWS}})  # as good as exact
    rng = np.random.default_rng(6)
    vectors = rng.standard_normal((ROWS, DIMENSION))
    ids = [f"row-{n}" for n in range(ROWS)]
    collection.add(ids=ids, embeddings=vectors.tolist())
    yield Rows(collection, vectors, ids, rng.standard_normal((2, DIMENSION)).tolist())
    store.close()


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Rows]:
    with make_rows(str(tmp_path / "index")) as rows:
        yield rows


def nearest(rows: Rows, filtered: dict[str, int], limit: int) -> list[dict[int, float]]:
    """The nearest of the filtered rows to each question."""
    return [
        nearest_chunks(rows.collection, question, filtered, limit, of=ROWS)
        for question in rows.questions
    ]


def assert_best(rows: Rows, found: list[dict[int, float]], places: list[int], count: int) -> None:
    """Assert that the best of these rows were found for each question, in order."""
    assert len(found) == len(rows.questions)
    for question, cosines in enumerate(found):
        best = rows.best(question, places, count)
        assert list(cosines) == list(best)
        assert cosines == pytest.approx(best, abs=1e-5)


def assert_all_found(rows: Rows, filtered: dict[str, int], limit: int) -> None:
    found = nearest(rows, filtered, limit)
    assert_best(rows, found, list(filtered.values()), limit)


@pytest.mark.parametrize("count", [1, 40, 200, 450, 599])
def test_filtered_chunks_far_from_the_question_are_found(rows: Rows, count: int) -> None:
    assert_all_found(rows, rows.some(count), limit=30)


@pytest.mark.process
def test_filtered_chunks_far_from_the_question_are_found_on_a_server(
    chroma_server: ChromaServer,
) -> None:
    with make_rows(chroma_server.url) as rows:
        for count in (1, 40, 200, 450):
            assert_all_found(rows, rows.some(count), limit=30)


@pytest.mark.parametrize("count", [40, 200, 450])
def test_deleted_rows_do_not_hide_the_others(rows: Rows, count: int) -> None:
    filtered = rows.some(count)
    deleted = list(filtered)[:7]
    rows.collection.delete(ids=deleted)

    found = nearest(rows, filtered, 30)

    left = [place for id_, place in filtered.items() if id_ not in deleted]
    assert_best(rows, found, left, 30)


def test_nothing_is_found_if_all_filtered_rows_were_deleted(rows: Rows) -> None:
    filtered = rows.some(5)
    rows.collection.delete(ids=list(filtered))
    assert nearest(rows, filtered, 3) == [{}, {}]


@pytest.mark.parametrize("unknown", [3, 100, 700])
def test_unknown_rows_do_not_displace_known_ones(rows: Rows, unknown: int) -> None:
    rows.add_unknown(unknown)
    filtered = dict(zip(rows.ids, range(ROWS), strict=True))

    found = nearest(rows, filtered, 30)

    assert_best(rows, found, list(range(ROWS)), 30)
    assert_all_found(rows, rows.some(450), limit=30)


def test_fewer_rows_than_requested_are_found_if_there_are_no_more(rows: Rows) -> None:
    filtered = dict(zip(rows.ids, range(ROWS), strict=True))
    rows.collection.delete(ids=rows.ids[3:])
    found = nearest(rows, filtered, 30)
    assert [set(places) for places in found] == [{0, 1, 2}] * 2
