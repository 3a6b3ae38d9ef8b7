"""Whitening of an adapted model's vectors, and their truncation."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

from database.adapting.evaluation import embedder_of
from database.adapting.whitening import shorten, whiten
from database.embedding.local_model import LocalModel
from database.embedding.torch_embeddings import load_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.model

TEXTS = [
    *(f"The {name} press is oiled by hand and cleaned with a dry cloth." for name in "ABCDEFGH"),
    *(f"Where is the {thing} kept?" for thing in ("key", "cloth", "oil", "brush", "manual")),
]


def vectors(model: "SentenceTransformer", texts: list[str]) -> npt.NDArray[np.float64]:
    return np.asarray(embedder_of(model)(texts), dtype=np.float64)


@pytest.fixture(scope="module")
def general(minilm: LocalModel) -> "SentenceTransformer":
    return load_model(minilm, "cpu")


@pytest.fixture(scope="module")
def white(general: "SentenceTransformer") -> "SentenceTransformer":
    return whiten(general, TEXTS)


def test_whitening_reduces_the_common_direction(
    general: "SentenceTransformer", white: "SentenceTransformer"
) -> None:
    """Cosines are Mahalanobis similarities under the shrunk second moment of the texts."""
    before = vectors(general, TEXTS)
    moment = before.T @ before / len(TEXTS)
    shrunk = 0.9 * np.eye(len(moment)) / len(moment) + 0.1 * moment
    near = before @ np.linalg.inv(shrunk) @ before.T
    lengths = np.sqrt(np.diag(near))

    after = vectors(white, TEXTS)

    assert after @ after.T == pytest.approx(near / np.outer(lengths, lengths), abs=1e-4)
    assert (after @ after.T).mean() < (before @ before.T).mean() - 0.1


def test_whitened_vectors_have_unit_length_and_the_weights_are_unchanged(
    general: "SentenceTransformer", white: "SentenceTransformer"
) -> None:
    assert np.linalg.norm(vectors(white, TEXTS), axis=1) == pytest.approx(1)
    assert white[0] is general[0]
    assert len(list(general)) == 3


def test_shorter_vectors_are_the_normalised_first_components(white: "SentenceTransformer") -> None:
    shorter = shorten(white, 7)

    cut = vectors(white, TEXTS)[:, :7]
    assert vectors(shorter, TEXTS) == pytest.approx(
        cut / np.linalg.norm(cut, axis=1, keepdims=True), abs=1e-4
    )


def test_prompts_of_the_base_are_kept(minilm: LocalModel) -> None:
    base = load_model(minilm, "cpu")
    base.prompts, base.default_prompt_name = {"ask": "A question: "}, "ask"
    white = whiten(base, TEXTS)

    for model in (white, shorten(white, 96)):
        assert model.prompts["ask"] == "A question: "
        assert model.default_prompt_name == "ask"


def test_whitening_works_with_few_texts(general: "SentenceTransformer") -> None:
    """Far fewer texts than dimensions: most directions have no variance."""
    few = whiten(general, TEXTS[:2])

    assert np.isfinite(vectors(few, TEXTS)).all()
