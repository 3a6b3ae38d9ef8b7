"""Real parts for the tests: the packaged model, a Chroma server; and a network that is closed."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from database.embeddings import load_embeddings
from database.models import MINILM, EmbeddingModel, find_model
from database.openvino_embeddings import OpenVINOEmbeddings
from tests.chroma_server import ChromaServer

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of the developer's reaches a test: it could be spent."""
    for name in ("MISTRAL_API_KEY", "DATABASE", "EMBEDDING_MODEL_NAME", "EMBEDDING_MODEL_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands set up logging for their process; the next test must not inherit it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def minilm() -> EmbeddingModel:
    return find_model(MINILM)


@pytest.fixture(scope="session")
def openvino_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(scope="session")
def embeddings(minilm: EmbeddingModel, openvino_cache: Path) -> OpenVINOEmbeddings:
    loaded = load_embeddings(minilm, device="cpu", backend="openvino", cache=openvino_cache)
    assert isinstance(loaded, OpenVINOEmbeddings)
    return loaded


@pytest.fixture
def chroma_server(tmp_path: Path) -> Iterator[ChromaServer]:
    with ChromaServer(tmp_path / "chroma-server") as server:
        yield server


@pytest.fixture(scope="session")
def developer_guide() -> Path:
    folder = SHARED / "dataset" / "sagemaker_documentation"
    if not folder.is_dir():
        pytest.skip("no ../shared/dataset here: the real Developer Guide is not at hand")
    return folder
