"""Dense search is measured at sizes that an index is grown to."""

from pathlib import Path

import numpy as np
import pytest

from database.index.rows import Vectors, unit_vectors
from utils.evaluation import sizes
from utils.evaluation.sizes import SizeFigures, grown, measure_size


def random_units(count: int, dimension: int, seed: int) -> Vectors:
    return unit_vectors(np.random.default_rng(seed).standard_normal((count, dimension)))


def test_smaller_size_is_a_sample() -> None:
    vectors = random_units(50, 8, seed=1)
    sample = grown(vectors, 20)
    assert sample.shape == (20, 8)
    assert len(np.unique(sample, axis=0)) == 20
    assert np.isclose(sample @ vectors.T, 1, atol=1e-5).any(axis=1).all()


def test_larger_size_adds_vectors_near_to_those_of_the_index() -> None:
    vectors = random_units(50, 384, seed=1)
    larger = grown(vectors, 400)
    assert larger.shape == (400, 384)
    assert np.array_equal(larger[:50], vectors)
    assert np.linalg.norm(larger, axis=1) == pytest.approx(np.ones(400), abs=1e-5)
    assert (larger[50:] @ vectors.T).max(axis=1) == pytest.approx(np.full(350, 0.9), abs=0.05)


@pytest.mark.process
def test_graph_is_compared_with_all_vectors() -> None:
    asked = random_units(20, 16, seed=2)

    measured = measure_size(random_units(3000, 16, seed=1), asked)

    assert measured.chunks == 3000
    assert 0.8 < measured.lowest_recall <= measured.recall <= 1
    assert measured.exact_mib == pytest.approx(3000 * 16 * 4 / 2**20)
    assert min(measured.exact_ms, measured.graph_ms, measured.graph_mib) > 0
    assert min(measured.build_seconds, measured.open_seconds) > 0


def test_questions_of_low_recall_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_units(100, 8, seed=1)
    answers = iter([set(range(100)), set(range(89)), set(range(90)), set(range(100))])
    monkeypatch.setattr(sizes, "_found", lambda *_: next(answers))
    monkeypatch.setattr(sizes, "open_store", lambda *_, **__: FakeStore())

    measured = measure_size(vectors, vectors[:3])

    assert measured.recall == pytest.approx(2.79 / 3)
    assert measured.lowest_recall == 0.89
    assert measured.below == 1


class FakeStore:
    """Stands in for a store and its client and collection."""

    @property
    def client(self) -> "FakeStore":
        return self

    def create(self, *_: object, rows: int) -> "FakeStore":
        assert rows == 100
        return self

    def get_collection(self, name: str) -> "FakeStore":
        return self

    def add(self, ids: list[str], embeddings: Vectors) -> None:
        assert len(ids) == len(embeddings)

    def close(self) -> None:
        pass


def test_table_has_a_row_for_each_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    figures = SizeFigures(100_000, 146.5, 12.34, 600.4, 2.04, 700.6, 9.04, 0.99512, 0.904, 2)
    monkeypatch.setattr(
        sizes, "_index_and_questions", lambda database: (random_units(3, 8, 1),) * 2
    )
    monkeypatch.setattr(sizes, "measure_size", lambda vectors, asked: figures)
    output = tmp_path / "sizes.md"

    assert sizes.main(["an-index", "-n", "3", "5", "-o", str(output)]) == 0

    row = "| 100,000 | 146 | 12.3 | 600 | 2.0 | 701 | 9.0 | 0.995 | 0.904 | 2 |"
    assert output.read_text().count(row) == 2


def test_missing_index_is_a_one_line_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sizes.main([str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
