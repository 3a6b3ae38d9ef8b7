"""Prompts of a model's configuration are applied by every backend."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from database.embedding.local_model import LocalModel
from database.embedding.query_embeddings import embed_queries
from database.embedding.torch_embeddings import TorchEmbeddings
from tests.files.mpnet import make_mpnet
from utils.settings import Backend

pytestmark = [
    pytest.mark.model,
    pytest.mark.usefixtures("converted_here"),
    # Raised inside PyTorch, by its export and pytrees.
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),
]

MINILM_REVISION = "1b22665f3b9d75c5fb8c2246f3cbd02cc0e9811890b8ac83273018da7cd43f45"
"""The revision in the fingerprints of indexes of earlier releases."""
TEXT = "Kilns dry wood"
BACKENDS: tuple[Backend, ...] = ("torch", "openvino")
CONFIG = "config_sentence_transformers.json"


def with_config(folder: Path, copy: Path, **config: Any) -> LocalModel:
    """A copy of a model with other prompts."""
    shutil.copytree(folder, copy)
    (copy / CONFIG).write_text(json.dumps(config))
    return LocalModel("tests/prompts", copy)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mpnet(tmp_path_factory.mktemp("mpnet")).folder


@pytest.fixture(scope="module")
def unprompted(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Embeddings:
    cache = tmp_path_factory.mktemp("cache")
    return LocalModel("m", plain).load_embeddings(device="cpu", backend="torch", cache=cache)


def test_revision_of_a_model_without_prompts_is_unchanged(
    minilm: LocalModel, plain: Path, tmp_path: Path
) -> None:
    assert minilm.revision == MINILM_REVISION
    empty = {"prompts": {"query": "", "document": ""}, "default_prompt_name": None}
    assert with_config(plain, tmp_path / "a", **empty).revision == LocalModel("m", plain).revision


def test_revision_covers_the_prompts(plain: Path, tmp_path: Path) -> None:
    configs: list[dict[str, Any]] = [
        {},
        {"prompts": {"query": "find: "}},
        {"prompts": {"query": "search: "}},
        {"prompts": {"document": "search: "}},
        {"prompts": {"any": "search: "}, "default_prompt_name": "any"},
    ]
    revisions = {
        with_config(plain, tmp_path / str(at), **config).revision
        for at, config in enumerate(configs)
    }
    assert len(revisions) == len(configs)


@pytest.mark.parametrize(
    ("config", "query", "document"),
    [
        ({"prompts": {"any": "in short: "}, "default_prompt_name": "any"}, *["in short: "] * 2),
        ({"prompts": {"query": "q: ", "passage": "p: "}}, "q: ", "p: "),
        ({"prompts": {"query": "q: ", "any": "a: "}, "default_prompt_name": "any"}, "q: ", "a: "),
        ({"prompts": {"query": "q: "}, "default_prompt_name": None}, "q: ", ""),
    ],
)
def test_backends_apply_the_same_prompts(
    config: dict[str, Any],
    query: str,
    document: str,
    plain: Path,
    unprompted: Embeddings,
    tmp_path: Path,
) -> None:
    model = with_config(plain, tmp_path / "prompted", **config)
    expected_query = np.array(unprompted.embed_query(query + TEXT))
    (expected_document,) = np.array(unprompted.embed_documents([document + TEXT]))

    for backend in BACKENDS:
        embeddings = model.load_embeddings(device="cpu", backend=backend, cache=tmp_path)
        assert expected_query @ embeddings.embed_query(TEXT) > 0.9999
        assert expected_document @ embeddings.embed_documents([TEXT])[0] > 0.9999
        for vector in embed_queries(embeddings, [TEXT, TEXT]):
            assert expected_query @ vector > 0.9999


def test_prompt_leaves_room_for_the_chunk(plain: Path, tmp_path: Path) -> None:
    model = with_config(plain, tmp_path / "prompted", prompts={"document": TEXT})
    tokens = model.count_tokens(TEXT)

    assert tokens > 0
    assert model.max_chunk_tokens == LocalModel("m", plain).max_chunk_tokens - tokens


def test_pooling_without_the_prompt_needs_torch(plain: Path, tmp_path: Path) -> None:
    model = with_config(plain, tmp_path / "prompted", prompts={"query": "q: "})
    pooling = model.folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"include_prompt": False}))

    loaded = model.load_embeddings(device="cpu", backend="auto", cache=tmp_path)

    assert isinstance(loaded, TorchEmbeddings)
