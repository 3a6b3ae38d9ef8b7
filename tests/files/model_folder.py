"""The files of a model that can be found but not loaded."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.files.mpnet import MODULES

FILES: dict[str, object] = {
    "config.json": {"model_type": "mpnet", "hidden_size": 64, "max_position_embeddings": 514},
    "modules.json": MODULES,
    "sentence_bert_config.json": {"max_seq_length": 384, "do_lower_case": False},
    "1_Pooling/config.json": {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True},
    "tokenizer.json": {"truncation": None},
    "model.safetensors": b"weights",
}


def contents(changes: Mapping[str, object] | None = None) -> dict[str, bytes]:
    """A model's files as bytes; None in `changes` omits a file."""
    files = {
        name: value for name, value in {**FILES, **(changes or {})}.items() if value is not None
    }
    return {
        name: value if isinstance(value, bytes) else json.dumps(value).encode()
        for name, value in files.items()
    }


def folder_of(path: Path, changes: Mapping[str, object] | None = None) -> Path:
    for name, content in contents(changes).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path
