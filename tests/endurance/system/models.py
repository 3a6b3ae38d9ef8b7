"""Two models that an index can switch between: one, and the same without its last layer."""

import json
import shutil
from pathlib import Path

from database.embedding.model_folder import INT8
from utils.errors import DocsQAError

SHORTENED = "endurance/without-the-last-layer"
_VERSION = "main"
_WEIGHTS = "model.safetensors"


def add_with_shortened(cache: Path, name: str, folder: Path) -> None:
    """Add a model and its shortened form to a Hub cache folder.

    Args:
        cache: The cache folder, created if missing.
        name: The model's name on the Hub.
        folder: Its files.

    Raises:
        DocsQAError: it cannot be shortened.
    """
    add_model(cache, name, folder)
    _shorten(folder, _snapshot_folder(cache, SHORTENED))


def add_model(cache: Path, name: str, folder: Path) -> None:
    """Add a model to a Hub cache folder."""
    _snapshot_folder(cache, name).symlink_to(folder, target_is_directory=True)


def _snapshot_folder(cache: Path, name: str) -> Path:
    """The path of a model's files in a Hub cache folder, recorded there as its newest version."""
    model = cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(_VERSION)
    (model / "snapshots").mkdir()
    return model / "snapshots" / _VERSION


def _shorten(folder: Path, target: Path) -> None:
    """Copy a model without the weights of its last layer: other vectors, same dimension."""
    from safetensors.numpy import load_file, save_file

    if not (folder / _WEIGHTS).is_file():
        raise DocsQAError(f"No {_WEIGHTS} in {folder}: it cannot be shortened.")
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("onnx", "openvino", INT8))
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] -= 1
    (target / "config.json").write_text(json.dumps(config, indent=2))
    last = f".layer.{config['num_hidden_layers']}."
    weights = load_file(folder / _WEIGHTS)
    kept = {name: tensor for name, tensor in weights.items() if last not in f".{name}"}
    if len(kept) == len(weights):
        raise DocsQAError(f"The layers in {folder / _WEIGHTS} have unknown names.")
    save_file(kept, target / _WEIGHTS, metadata={"format": "pt"})
