"""Adapters: the shipped one fits the packaged model; files that are not adapters are reported."""

from pathlib import Path

import pytest

from database.embedding.adapter import Adapter
from database.embedding.model_finder import find_model
from database.embedding.packaged_models import MINILM, WEIGHTS_SHA256
from utils.errors import ModelError
from utils.settings import DEFAULT_ADAPTER

MAX_BYTES = 4_000_000


def test_shipped_adapter_is_small_and_fits_the_packaged_model() -> None:
    assert Adapter(DEFAULT_ADAPTER).base == WEIGHTS_SHA256[MINILM]
    assert DEFAULT_ADAPTER.stat().st_size < MAX_BYTES
    assert DEFAULT_ADAPTER.with_suffix(".md").is_file()


@pytest.mark.model
def test_shipped_adapter_changes_the_revision_of_the_packaged_model() -> None:
    plain, adapted = find_model(MINILM), find_model(MINILM, None, DEFAULT_ADAPTER)
    assert (plain.adapter, adapted.adapter) == (None, Adapter(DEFAULT_ADAPTER))
    assert plain.revision != adapted.revision
    assert plain.dimension == adapted.dimension


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{}", b"\x09\0\0\0\0\0\0\0[1, 2, 3]"]
)
def test_file_that_is_not_an_adapter_is_reported(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        ModelError, match=r"EMBEDDING_ADAPTER: .*mine\.safetensors is not an adapter"
    ):
        _ = Adapter(path).base
