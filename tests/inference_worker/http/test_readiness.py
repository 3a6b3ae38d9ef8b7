"""Readiness reports the index and its model without exposing local paths."""

import gc
import time
from contextlib import closing
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from database.index.store import open_store
from database.reading.reader import Reader
from inference_worker.app import WATCH_SECONDS
from inference_worker.concurrency_limit import ConcurrencyLimit
from inference_worker.http.admission import Load
from inference_worker.http.readiness import readiness
from tests.attacks.store_damage import ROW_KINDS
from tests.files.pages import builder, write_pages
from tests.servers.service import serve, until
from utils.errors import IndexMismatchError

IDLE = Load(ConcurrencyLimit(1), max_wait=1.0, llm_calls=1, count_refusal=lambda reason: None)


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


@pytest.mark.process
def test_damaged_index_is_not_ready_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = tmp_path / "index"
    with closing(open_store(str(index), create=True)) as store:
        builder(store).build(write_pages(tmp_path / "pages"))
    ROW_KINDS["document NULL"](index, Random(1))

    with serve(str(index)) as service:
        until(lambda: "make index" in service.http.get("/readyz").text, within=60)
        time.sleep(2 * WATCH_SECONDS)
        ready = service.http.get("/readyz")
        found = service.http.post("/v1/search", json={"query": "endpoints"})

    assert (ready.status_code, ready.json()["checks"]["index"]["ok"]) == (503, False)
    assert found.status_code == 503
    assert found.json()["type"].endswith(":index-damaged")
    (line,) = [each for each in caplog.messages if "Not ready" in each]
    assert "make index" in line
    assert not [each for each in caplog.records if each.exc_info]


@pytest.mark.process
def test_loaded_index_is_exempt_from_garbage_collection(database: str) -> None:
    gc.unfreeze()
    with serve(database) as service:
        service.wait_until_ready()
        until(lambda: gc.get_freeze_count() > 0)
