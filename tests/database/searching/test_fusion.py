"""Standardization of dense and lexical scores, and ablations of the ranking."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from database.searching.fusion import ABLATIONS, MIN_SCORE, Ranking, Scores, standardize


def scores(*values: float) -> Scores:
    return np.array(values, dtype=np.float32)


def test_scores_become_standard_deviations_above_the_last_candidate() -> None:
    found = standardize(scores(5, 1, 3, 3), candidates=10)  # standard deviation: sqrt(2)
    above = scores(4 / 2**0.5, 0, 2 / 2**0.5, 2 / 2**0.5)
    assert found == pytest.approx(above + MIN_SCORE)
    assert found.dtype == np.float32


def test_standardized_scores_do_not_depend_on_scale_or_offset() -> None:
    some = scores(0.31, 0.7, 0.05, 0.44)
    assert standardize(1000 * some + 7, 10) == pytest.approx(standardize(some, 10), rel=1e-3)


def test_only_candidates_have_a_score() -> None:
    found = standardize(scores(-900, 9, 0, 6, -40, 3), candidates=3)
    deviation = 6**0.5
    assert found == pytest.approx(
        [0, 6 / deviation + MIN_SCORE, 0, 3 / deviation + MIN_SCORE, 0, MIN_SCORE], abs=1e-5
    )


def test_order_of_the_best_is_kept() -> None:
    some = np.random.default_rng(7).normal(size=500).astype(np.float32)
    found = standardize(some, 50)
    assert found.shape == some.shape
    assert np.argmax(found) == np.argmax(some)
    assert np.count_nonzero(found) == 50
    assert found.min() == 0


@pytest.mark.parametrize("some", [scores(3), scores(2, 2, 2, 2)])
def test_equal_scores_get_the_minimum_score(some: Scores) -> None:
    assert standardize(some, 200) == pytest.approx(np.full(len(some), MIN_SCORE))


def test_score_of_zero_is_no_candidate() -> None:
    assert np.array_equal(standardize(scores(0, 0, 0), 200), [0, 0, 0])
    assert len(standardize(scores(), 200)) == 0
    assert standardize(scores(2, 2, 0, 0), 2) == pytest.approx([MIN_SCORE, MIN_SCORE, 0, 0])


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_ablation_changes_existing_fields(name: str) -> None:
    changes = ABLATIONS[name]
    changed = replace(Ranking(), **changes)  # type: ignore[arg-type]
    different = {key for key, value in asdict(changed).items() if value != asdict(Ranking())[key]}
    assert different == changes.keys() != set()


def test_every_ranking_field_has_an_ablation() -> None:
    limits = {"candidates", "characters"}
    assert {key for changes in ABLATIONS.values() for key in changes} == {
        field.name for field in fields(Ranking)
    } - limits
