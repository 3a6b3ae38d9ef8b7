"""Readiness reports the index and its model without exposing local paths."""

from types import SimpleNamespace
from typing import cast

import pytest

from database.reading.reader import Reader
from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.admission import Load
from inference_worker.http.readiness import readiness
from utils.errors import IndexMismatchError

IDLE = Load(ConcurrencyLimit(1), max_wait=1.0, count_refusal=lambda reason: None)


class StubFingerprint:
    """A fingerprint with the given model name."""

    def __init__(self, model: str) -> None:
        self._model = model

    def to_metadata(self) -> dict[str, str | int]:
        return {"embedding_model": self._model, "chunks": 5}


def reader(model: str, problem: str = "") -> Reader:
    snapshot = SimpleNamespace(fingerprint=StubFingerprint(model), live=SimpleNamespace(revision=7))
    mismatch = IndexMismatchError(problem) if problem else None
    return cast("Reader", SimpleNamespace(state=snapshot, problem=mismatch))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/srv/ml/models/mine", "mine"),
        ("/srv/my models/mine", "mine"),
        ("models/mine", "models/mine"),
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("openai:text-embedding-3-small", "openai:text-embedding-3-small"),
    ],
)
def test_model_name_excludes_its_absolute_path(name: str, shown: str) -> None:
    assert readiness(reader(name), IDLE).index == {
        "embedding_model": shown,
        "chunks": 5,
        "revision": 7,
    }


def test_mismatch_names_both_models_without_absolute_paths() -> None:
    problem = "Built with /srv/ml/mine, asked with org/other; see http://host/models/page."

    shown = readiness(reader("org/other", problem), IDLE).checks["model"]

    assert shown.detail == "Built with mine, asked with org/other; see http://host/models/page."
    assert not shown.ok
