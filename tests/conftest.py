"""Shared fixtures: the packaged model, a Chroma server, containers; no network beyond loopback."""

import gc
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
from database.embedding import openvino_export
from database.embedding.local_model import LocalModel
from database.embedding.model_finder import find_model
from database.embedding.openvino_conversion import write_program
from database.embedding.openvino_embeddings import OpenVINOEmbeddings
from database.embedding.packaged_models import MINILM
from tests.containers.checkout import Checkout, engine_missing
from tests.files.pages import PAGES
from tests.servers.chroma import ChromaServer

# Hide the developer's own index, models and keys, whose credit the tests could spend.
for name in (
    *("MISTRAL_API_KEY", "DATABASE", "EMBEDDING_MODEL_NAME", "EMBEDDING_MODEL_PATH"),
    *("EMBEDDING_API_KEY", "EMBEDDING_BASE_URL", "OLLAMA_URL"),
):
    os.environ.pop(name, None)

# All tests come from one address.
os.environ |= {"ADDRESS_LIMITS": "none", "KEY_LIMITS": "none"}

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Skip files whose tests are all deselected by -m: importing their libraries takes seconds."""
    if not collection_path.name.startswith("test_"):
        return None
    marked = re.search(r"^pytestmark = \[?pytest\.mark\.(\w+)", collection_path.read_text(), re.M)
    return True if marked and f"not {marked[1]}" in config.option.markexpr else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, so that parallel workers finish at the same time."""
    kinds = ("model", "process")
    order: dict[Path, int] = {}
    for item in items:
        rank = next((at for at, kind in enumerate(kinds) if item.get_closest_marker(kind)), 9)
        order[item.path] = min(rank, order.get(item.path, rank))
    items.sort(key=lambda item: order[item.path])


def pytest_collection_finish() -> None:
    """Exempt the collected tests from garbage collections, each of which takes 0.5 s with them."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Undo the logging configuration of commands after each test."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def minilm() -> LocalModel:
    return find_model(MINILM)


@pytest.fixture(scope="session", autouse=True)
def openvino_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of exported models, shared by all processes since an export takes long."""
    own = tmp_path_factory.getbasetemp()
    cache = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "openvino"
    cache.mkdir(exist_ok=True)
    os.environ["EMBEDDING_CACHE_PATH"] = str(cache)
    return cache


@pytest.fixture(scope="session")
def embeddings(minilm: LocalModel, openvino_cache: Path) -> OpenVINOEmbeddings:
    loaded = minilm.load_embeddings(device="cpu", backend="openvino", cache=openvino_cache)
    assert isinstance(loaded, OpenVINOEmbeddings)
    return loaded


@pytest.fixture
def converted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are converted in this process, which has loaded torch; another one takes 10 s."""
    monkeypatch.setattr(openvino_export, "export_program", write_program)


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


@pytest.fixture(scope="session")
def engine() -> None:
    """Requires a running Docker engine."""
    if missing := engine_missing():
        pytest.skip(missing)


@pytest.fixture(scope="session")
def system(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The system in containers, from a fresh checkout with a few documents and no .env."""
    checkout = Checkout(tmp_path_factory.mktemp("docsqa"))
    checkout.write_documents(PAGES)
    try:
        checkout.compose("up", "--detach", "--build")
        checkout.wait_until_ready()
        yield checkout
    finally:
        checkout.down()


@pytest.fixture
def network(system: Checkout) -> str:
    """The network that builder, worker and gateway share."""
    return f"{system.project}_default"


@pytest.fixture
def checkout(system: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A fresh checkout without running containers; uses the images of `system`."""
    fresh = Checkout(tmp_path_factory.mktemp("original"))
    fresh.write_documents(PAGES)
    (fresh.folder / ".env").write_text(f"EMBEDDING_MODEL_NAME={MINILM}\n")
    fresh.give_to_owner()
    try:
        yield fresh
    finally:
        fresh.down()
