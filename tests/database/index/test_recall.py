"""The recall of Chroma's graph is measured, stored with the index and reported if it is low."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from database.index import go_live, store, word_vectors
from database.index.checks.collection_check import RECALL_DEPTH, measure_recall
from database.index.rows import unit_vectors
from database.index.store import Store, open_store
from tests.files.pages import builder, write_pages

pytestmark = pytest.mark.process

ROWS, DIMENSION = 3000, 24


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    made = open_store(str(tmp_path / "index"), create=True)
    yield made
    made.close()


@pytest.mark.parametrize("parameters", [{}, {"max_neighbors": 2, "ef_construction": 3}])
def test_measured_recall_is_that_of_a_full_comparison(
    opened: Store, parameters: dict[str, Any]
) -> None:
    vectors = unit_vectors(np.random.default_rng(3).standard_normal((ROWS, DIMENSION)))
    configuration: Any = {"hnsw": {"space": "cosine", "sync_threshold": ROWS} | parameters}
    made = opened.client.create_collection(
        "index-numbers", configuration=configuration, embedding_function=None
    )
    for start in range(0, ROWS, 500):
        ids = [str(place) for place in range(start, start + 500)]
        made.add(ids=ids, embeddings=vectors[start : start + 500])
    words = {f"word{n}": f"word{n}" for n in range(60)}
    asked = unit_vectors(np.random.default_rng(4).standard_normal((60, DIMENSION)))
    word_vectors.write_word_vectors(opened, made.name, words, lambda texts: asked.tolist(), [])

    measured = measure_recall(opened, made)

    shares = []
    for vector in [*vectors[::60][:50], *asked[:50]]:
        nearest = set(np.argsort(-(vectors @ vector))[:RECALL_DEPTH].tolist())
        found: Any = made.query(query_embeddings=[vector], n_results=RECALL_DEPTH, include=[])
        shares.append(len(nearest.intersection(map(int, found["ids"][0]))) / RECALL_DEPTH)
    assert measured == pytest.approx(np.mean(shares), abs=1e-6)
    assert measured > 0.9 if not parameters else measured < 0.6


@pytest.mark.parametrize(("found", "level"), [(0.991, logging.INFO), (0.96, logging.WARNING)])
def test_large_index_is_built_with_its_recall(
    opened: Store,
    tmp_path: Path,
    found: float,
    level: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    for module in (go_live, store):
        monkeypatch.setattr(module, "MAX_EXACT_CHUNKS", 1)
    monkeypatch.setattr(go_live, "measure_recall", lambda *given: found)

    builder(opened).build(write_pages(tmp_path / "pages"))

    _, collection, fingerprint = opened.live_collection()
    assert fingerprint.recall == found
    graph_of: Any = collection.configuration["hnsw"]
    assert (graph_of["max_neighbors"], graph_of["ef_search"]) == (48, 800)
    (record,) = [each for each in caplog.records if "nearest chunks" in each.message]
    assert (record.levelno, f"{found:.3f}" in record.message) == (level, True)


def test_small_index_is_compared_in_full(opened: Store, tmp_path: Path) -> None:
    builder(opened).build(write_pages(tmp_path / "pages"))
    assert opened.live_collection()[2].recall == 1.0
