"""BM25 postings: scores as in bm25s, and a changed field equals a rebuilt one."""

import logging
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from database.searching.bm25 import Field, Splice, Texts

TERMS = 40
SEEDS = range(8)

Text = list[int]


def texts_of(texts: Sequence[Text]) -> Texts:
    all_of_them = Texts()
    for text in texts:
        all_of_them.add(text)
    return all_of_them


def field_of(texts: Sequence[Text], terms: int = TERMS) -> Field:
    added = Splice(np.zeros(0, dtype=np.bool_), np.zeros(len(texts), dtype=np.int64))
    return Field.empty().changed(added, texts_of(texts), terms)


def some_texts(rng: random.Random, most: int = 30) -> list[Text]:
    """Random texts of very different lengths, some empty, with frequent low term numbers."""
    lengths = [rng.choice([0, 1, 5, 50]) for _ in range(rng.randint(1, most))]
    return [[int(rng.paretovariate(0.7)) % TERMS for _ in range(length)] for length in lengths]


def dense(field: Field, terms: int = TERMS) -> list[list[float]]:
    """The matrix of each term's score in each text."""
    rows = np.zeros((terms, field.size), dtype=np.float32)
    for term in range(terms):
        texts, weights = field.column(term)
        rows[term, texts] = weights
    listed: list[list[float]] = rows.tolist()
    return listed


def bm25s_scores(texts: Sequence[Text]) -> list[list[float]]:
    """The same matrix from the bm25s package (Lucene's BM25)."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs at every index
    model: Any = bm25s.BM25(k1=0.9, b=0.75, method="lucene", csc_backend="numpy")
    numbers = {str(term): term for term in range(TERMS)}
    model.index((texts, numbers), show_progress=False, create_empty_token=False)
    rows = np.zeros((TERMS, len(texts)), dtype=np.float32)
    starts = model.scores["indptr"]
    for term in range(TERMS):
        part = slice(starts[term], starts[term + 1])
        rows[term, model.scores["indices"][part]] = model.scores["data"][part]
    listed: list[list[float]] = rows.tolist()
    return listed


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_match_the_bm25s_package(seed: int) -> None:
    texts = [*some_texts(random.Random(seed)), [1, 2, 3]]
    ours, theirs = dense(field_of(texts)), bm25s_scores(texts)
    for term in range(TERMS):
        assert ours[term] == pytest.approx(theirs[term], rel=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_changed_field_equals_a_rebuilt_one(seed: int) -> None:
    rng = random.Random(seed)
    texts = some_texts(rng)
    field = field_of(texts)
    for _ in range(6):
        keep = [rng.random() < 0.8 for _ in texts]
        added = some_texts(rng, most=6) if rng.random() < 0.8 else []
        kept = [text for text, stays in zip(texts, keep, strict=True) if stays]
        before = sorted(rng.randint(0, len(kept)) for _ in added)
        texts = list(kept)
        for place, text in reversed(list(zip(before, added, strict=True))):
            texts.insert(place, text)

        splice = Splice(np.array(keep, dtype=np.bool_), np.array(before, dtype=np.int64))
        field = field.changed(splice, texts_of(added), TERMS)

        assert dense(field) == dense(field_of(texts))
        assert [field.holders(term) for term in range(TERMS)] == [
            sum(term in text for text in texts) for term in range(TERMS)
        ]


def test_columns_list_their_texts_in_order() -> None:
    field = field_of([[0], [1], [0]]).changed(
        Splice(np.array([True, False, True]), np.array([0, 1, 2])),
        texts_of([[0], [0], [0, 1]]),
        TERMS,
    )
    assert field.column(0)[0].tolist() == [0, 1, 2, 3, 4]
    assert field.column(1)[0].tolist() == [4]


def test_splice_maps_kept_and_new_texts_to_their_positions() -> None:
    splice = Splice(np.array([True, False, True, True]), np.array([0, 1, 1, 3]))
    assert splice.moved.tolist() == [1, -1, 4, 5]
    assert splice.arrived.tolist() == [0, 2, 3, 6]


def test_change_does_not_modify_the_old_field() -> None:
    texts = [[0, 0, 1], [1, 2], [2]]
    field = field_of(texts)
    before = dense(field)
    field.changed(Splice(np.array([False, True, False]), np.array([0])), texts_of([[5]]), TERMS)
    assert dense(field) == before


def test_number_of_terms_can_grow() -> None:
    field = field_of([[0, 1]], terms=2)
    grown = field.changed(Splice(np.array([True]), np.array([1])), texts_of([[4]]), 5)
    assert grown.held.tolist() == [True, True, False, False, True]
    assert field.held.tolist() == [True, True]


def test_weight_multiplies_the_scores_of_a_term() -> None:
    field = field_of([[0, 0, 1], [1]])
    assert field.column(0, 0.5)[1] == pytest.approx(0.5 * field.column(0)[1])
    assert field.column(0, 0.5)[1].dtype == np.float32


def test_texts_without_terms_have_no_columns() -> None:
    field = field_of([[], []])
    assert field.size == 2
    assert not field.held.any()
    assert field_of([]).size == 0
